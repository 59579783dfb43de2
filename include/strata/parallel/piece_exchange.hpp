#pragma once
// Piece exchange: pieces of a stretch of values, from several ranks, come to the stretch's owner, who folds them, while others are under
// way.
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/parallel/partition.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// One exchange of the group after the other, in the order in which every rank begins them; their messages and folds go on as they can.
class PieceExchange {
 public:
  /// Every rank brings so many pieces of the whole, [elements] each; every element has one owner, who gets it of every piece.
  struct Task {
    std::function<std::vector<Range>(int owner)> owned;         // stretches of the whole that a rank folds
    std::vector<int> pieces;                                    // that each rank brings
    std::vector<View> own;                                      // this rank's; to be left alone until done()
    std::function<void(Range, const std::vector<View>&)> fold;  // what all pieces hold there, by rank, then piece; may be overwritten
    std::function<void()> done;                                 // all has come, been folded, and left
  };

  /// Takes `name` from the arena: room for two times `bucket` elements of `most_pieces` pieces of others. `group` must outlive it.
  PieceExchange(Arena& arena, const std::string& name, DType type, Communicator& group, Channel channel, std::int64_t most_pieces,
                std::int64_t bucket);
  /// Local; every rank of the group begins the same tasks in the same order.
  void begin(Task task);
  /// Makes one move: begins to receive a part, folds the oldest if it has come, or ends the oldest task. False: none can be made now.
  /// Local.
  bool advance();
  bool idle() const { return under_way_.empty(); }

 private:
  struct UnderWay {
    Task task;
    std::vector<Range> parts;  // of what this rank folds, of a bucket's size at most
    std::unique_ptr<Transfer> sends;
    std::size_t posted = 0, folded = 0;  // [parts]
  };
  struct Post {
    UnderWay* of;
    Range part;
    std::vector<View> slices;
    std::unique_ptr<Transfer> receives;
    std::size_t buffer;
  };
  std::vector<Range> parts_of(const Task& task, int owner) const;
  bool post_one();
  bool fold_one();
  bool end_one();

  Communicator& group_;
  Channel channel_;
  std::int64_t bucket_;
  View buffers_[2];  // [pieces of others, bucket]
  bool taken_[2] = {false, false};
  std::deque<UnderWay> under_way_;
  std::deque<Post> posts_;
};

/// Elements of a message where `others` pieces come at once: as many as `bucket`, where many share the room that eight have, and no more
/// than `longest`.
std::int64_t shared_bucket(std::int64_t bucket, std::int64_t others, std::int64_t longest);

}  // namespace strata
