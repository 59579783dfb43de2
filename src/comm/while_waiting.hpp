#pragma once
// What a rank goes on with while it waits for others in a communicator over MPI.
#include <functional>

namespace strata {

/// The others may need this rank to move something on before they come to where it waits for them, whatever communicator it waits in:
/// LinkedCommunicator's rounds go on only where every rank of the group takes part. While an object lives, whoever waits in MPI calls its
/// `move` again and again; collectives are met for first, so all ranks of a job have one at the same time, or none. For one thread.
class WhileWaiting {
 public:
  explicit WhileWaiting(std::function<void()> move);
  ~WhileWaiting();
  WhileWaiting(const WhileWaiting&) = delete;
  WhileWaiting& operator=(const WhileWaiting&) = delete;

  /// Whether there is one.
  static bool any();
  /// Moves all on; errors are those of what is moved.
  static void move();

  /// While one lives nothing is moved: its owner does that himself, and takes errors otherwise.
  class Paused {
   public:
    Paused();
    ~Paused();
    Paused(const Paused&) = delete;
    Paused& operator=(const Paused&) = delete;
  };

 private:
  std::function<void()> move_;
};

}  // namespace strata
