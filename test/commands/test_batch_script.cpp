// Batch scripts: directives in all their spellings, the launcher's line, Slurm's times and sizes.
#include <gtest/gtest.h>

#include "commands/batch_script.hpp"

namespace strata {
namespace {

TEST(BatchScript, DirectivesInAllSpellings) {
  const BatchScript script("x.sbatch",
                           "#!/bin/bash\n#SBATCH -N 2 -t90\n#SBATCH --ntasks-per-node=4 # four\n#SBATCH --cpus-per-task 3\n"
                           "#SBATCH --requeue\n#SBATCH -n 8\n#SBATCH -n 7\n\n# a comment\n");
  EXPECT_EQ(script.nodes(), 2);
  EXPECT_EQ(script.number("ntasks-per-node"), 4);
  EXPECT_EQ(script.threads(), 3);
  EXPECT_TRUE(script.has("requeue"));
  EXPECT_EQ(script.tasks(), 7) << "the last one counts";
  EXPECT_EQ(script.time_limit(), 5400);
  EXPECT_EQ(script.where("ntasks-per-node"), "x.sbatch:3");
  EXPECT_EQ(script.where("mem"), "x.sbatch");
  EXPECT_EQ(script.launcher().line, 0);
}

TEST(BatchScript, WhatStandsBehindTheFirstCommandIsNotRead) {
  const BatchScript script("x", "#SBATCH -n 2\necho\n#SBATCH -n 4\n");
  EXPECT_EQ(script.tasks(), 2);
  EXPECT_EQ(script.ignored(), std::vector<int>{3});
}

TEST(BatchScript, TasksFollowFromNodes) {
  EXPECT_EQ(BatchScript("x", "#SBATCH -N 3 --ntasks-per-node=2\n").tasks(), 6);
  EXPECT_EQ(BatchScript("x", "#SBATCH -N 3\n").tasks(), 3);
  EXPECT_EQ(BatchScript("x", "#SBATCH --time=5\n").tasks(), 0) << "the script does not say";
  EXPECT_EQ(BatchScript("x", "#SBATCH -N 2 -n 5\n").ranks_per_host(), 3);
}

TEST(BatchScript, TheLaunchersLine) {
  const auto launcher = [](const std::string& line) { return BatchScript("x", line + "\n").launcher(); };
  EXPECT_EQ(launcher("mpirun -n 4 strata train x.in").ranks, 4);
  EXPECT_EQ(launcher("/opt/bin/mpirun --bind-to none -np 6 build/strata train x.in").ranks, 6);
  EXPECT_EQ(launcher("srun --mpi=pmix --ntasks=5 strata train x.in").ranks, 5);
  EXPECT_EQ(launcher("mpirun -n $N strata train x.in").ranks, 0) << "variables are not followed";
  EXPECT_EQ(launcher("mpirun strata train x.in -n 9").ranks, 0) << "what stands behind the program is its own";
  EXPECT_EQ(launcher("exec srun strata train x.in").name, "srun");
  EXPECT_EQ(launcher("mpirun strata prepare x.in").line, 0);
  EXPECT_EQ(launcher("# mpirun -n 4 strata train x.in").line, 0);
  EXPECT_EQ(launcher("echo\nmpirun \\\n  -n 3 \\\n  strata train x.in").ranks, 3);
  EXPECT_EQ(launcher("echo\nmpirun \\\n  -n 3 \\\n  strata train x.in").line, 2);
}

TEST(BatchScript, MemoryOfANode) {
  EXPECT_EQ(BatchScript("x", "#SBATCH --mem=2G\n").memory_per_host(), std::int64_t{2} << 30);
  EXPECT_EQ(BatchScript("x", "#SBATCH -n 4 -c 2 --mem-per-cpu=100\n").memory_per_host(), std::int64_t{800} << 20);
  EXPECT_EQ(BatchScript("x", "#SBATCH --mem=0\n").memory_per_host(), 0) << "all of it";
}

TEST(BatchScript, SlurmsTimesAndSizes) {
  EXPECT_EQ(slurm_seconds("60"), 3600);
  EXPECT_EQ(slurm_seconds("60:30"), 3630);
  EXPECT_EQ(slurm_seconds("1:02:03"), 3723);
  EXPECT_EQ(slurm_seconds("2-03"), 2 * 86400 + 3 * 3600);
  EXPECT_EQ(slurm_seconds("1-02:03:04"), 86400 + 7384);
  EXPECT_EQ(slurm_seconds("UNLIMITED"), 0);
  for (const char* wrong : {"", "soon", "1:", "-5", "1-2-3"}) EXPECT_EQ(slurm_seconds(wrong), -1) << wrong;
  EXPECT_EQ(slurm_bytes("500"), std::int64_t{500} << 20);
  EXPECT_EQ(slurm_bytes("3K"), 3072);
  EXPECT_EQ(slurm_bytes("1T"), std::int64_t{1} << 40);
  for (const char* wrong : {"", "G", "1.5G", "-1"}) EXPECT_EQ(slurm_bytes(wrong), -1) << wrong;
}

TEST(BatchScript, AnyBytesAreRead) {
  const BatchScript script(
      "x", std::string("#SBATCH\n#SBATCH --\n#SBATCH -\n#SBATCH -n\n#SBATCH --=\n\\\n") + std::string(100000, '9') + "\n\0\xff");
  EXPECT_EQ(script.tasks(), 0);
}

}  // namespace
}  // namespace strata
