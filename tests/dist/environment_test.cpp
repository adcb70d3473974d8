#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "dist/node_list.h"
#include "tandem/base/error.h"
#include "tandem/dist/mesh.h"

namespace environment_test {

using namespace tandem;
using namespace tandem::dist;

namespace {

constexpr const char* names[] = {"RANK",
                                 "WORLD_SIZE",
                                 "LOCAL_RANK",
                                 "LOCAL_WORLD_SIZE",
                                 "MASTER_ADDR",
                                 "MASTER_PORT",
                                 "SLURM_PROCID",
                                 "SLURM_NTASKS",
                                 "SLURM_STEP_NUM_TASKS",
                                 "SLURM_LOCALID",
                                 "SLURM_NODEID",
                                 "SLURM_NODELIST",
                                 "SLURM_JOB_NODELIST",
                                 "SLURM_STEP_NODELIST",
                                 "SLURM_TASKS_PER_NODE",
                                 "SLURM_STEP_TASKS_PER_NODE",
                                 "SLURM_NTASKS_PER_NODE",
                                 "SLURM_JOB_ID",
                                 "SLURM_STEP_ID",
                                 "PMIX_NAMESPACE",
                                 "OMPI_COMM_WORLD_RANK",
                                 "OMPI_COMM_WORLD_SIZE",
                                 "OMPI_COMM_WORLD_LOCAL_RANK",
                                 "OMPI_COMM_WORLD_LOCAL_SIZE",
                                 "PMI_RANK",
                                 "PMI_SIZE",
                                 "MPI_LOCALRANKID",
                                 "MPI_LOCALNRANKS"};

// Sets exactly these of the launchers' variables.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& values) {
    clear();
    for (const auto& [name, value] : values) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() { clear(); }

 private:
  static void clear() {
    for (const char* name : names) unsetenv(name);
  }
};

std::string refusal(const std::map<std::string, std::string>& values) {
  const Environment environment(values);
  try {
    join_options_from_environment(Backend::gloo);
  } catch (const Error& error) {
    return error.kind() == ErrorKind::config ? error.what() : "wrong kind";
  }
  return "accepted";
}

}  // namespace

TEST_CASE("torchrun's variables become the options of a join") {
  const Environment environment({{"RANK", "5"},
                                 {"WORLD_SIZE", "8"},
                                 {"LOCAL_RANK", "1"},
                                 {"MASTER_ADDR", "10.0.0.7"},
                                 {"MASTER_PORT", "29500"}});
  const JoinOptions options = join_options_from_environment(Backend::nccl);
  CHECK(options.rank == 5);
  CHECK(options.size == 8);
  CHECK(options.local_rank == 1);
  CHECK(options.master_address == "10.0.0.7");
  CHECK(options.master_port == 29500);
  CHECK(options.backend == Backend::nccl);
}

TEST_CASE("without torchrun's variables there is one rank") {
  const Environment environment({});
  const JoinOptions options = join_options_from_environment(Backend::gloo);
  CHECK(options.size == 1);
  CHECK(options.rank == 0);
}

TEST_CASE("nonsense in torchrun's variables is refused by name") {
  const std::map<std::string, std::string> good{{"RANK", "0"},
                                                {"WORLD_SIZE", "2"},
                                                {"LOCAL_RANK", "0"},
                                                {"MASTER_ADDR", "127.0.0.1"},
                                                {"MASTER_PORT", "29500"}};
  CHECK(refusal(good) == "accepted");
  const std::pair<const char*, const char*> bad[] = {
      {"RANK", "2"},         {"RANK", "-1"},      {"RANK", "one"},       {"WORLD_SIZE", "0"},
      {"WORLD_SIZE", "2.5"}, {"LOCAL_RANK", "x"}, {"MASTER_PORT", "0"},  {"MASTER_PORT", "70000"},
      {"RANK", ""},          {"LOCAL_RANK", ""},  {"MASTER_ADDR", ""},   {"MASTER_PORT", ""},
      {"RANK", "1 "},        {"RANK", "0x1"},     {"WORLD_SIZE", "1e9"},
  };
  for (const auto& [name, value] : bad) {
    auto values = good;
    values[name] = value;
    CAPTURE(name, value);
    CHECK(refusal(values).find(name) != std::string::npos);
  }
}

TEST_CASE("Slurm's variables become the options of a join, its first node the address") {
  const std::map<std::string, std::string> job{{"SLURM_PROCID", "5"},
                                               {"SLURM_NTASKS", "8"},
                                               {"SLURM_LOCALID", "1"},
                                               {"SLURM_NODEID", "1"},
                                               {"SLURM_TASKS_PER_NODE", "4(x2)"},
                                               {"SLURM_JOB_NODELIST", "gpu[07-08]"},
                                               {"SLURM_JOB_ID", "4711"}};
  int port = 0;
  {
    const Environment environment(job);
    const JoinOptions options = join_options_from_environment(Backend::gloo);
    CHECK(options.launcher == "Slurm");
    CHECK(options.rank == 5);
    CHECK(options.size == 8);
    CHECK(options.local_rank == 1);
    CHECK(options.local_size == 4);
    CHECK(options.master_address == "gpu07");
    port = options.master_port;
    CHECK(port >= 15000);
    CHECK(port < 30000);
  }
  auto other = job;
  other["SLURM_PROCID"] = "2";
  other["SLURM_LOCALID"] = "2";
  other["SLURM_NODEID"] = "0";
  {
    const Environment environment(other);  // the same on every rank
    CHECK(join_options_from_environment(Backend::gloo).master_port == port);
  }
  other["SLURM_JOB_ID"] = "4712";
  {
    const Environment environment(other);
    CHECK(join_options_from_environment(Backend::gloo).master_port != port);
  }
  other["MASTER_ADDR"] = "head";
  other["MASTER_PORT"] = "1234";
  const Environment environment(other);
  CHECK(join_options_from_environment(Backend::gloo).master_address == "head");
  CHECK(join_options_from_environment(Backend::gloo).master_port == 1234);
}

TEST_CASE("one node, or no list of nodes, is this machine") {
  std::map<std::string, std::string> job{
      {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}, {"SLURM_LOCALID", "1"}};
  for (const char* list : {"", "node3"}) {
    job["SLURM_NODELIST"] = list;
    const Environment environment(job);
    const JoinOptions options = join_options_from_environment(Backend::gloo);
    CHECK(options.master_address == "127.0.0.1");
    CHECK(options.size == 2);
  }
  job["SLURM_NODELIST"] = "node[3";
  CHECK(refusal(job).find("node[3") != std::string::npos);
}

TEST_CASE("a job of one task, or without a task's number, is a single rank") {
  for (const std::map<std::string, std::string>& job :
       {std::map<std::string, std::string>{
            {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}, {"SLURM_LOCALID", "0"}},
        {{"SLURM_NTASKS", "4"}, {"SLURM_JOB_NODELIST", "a,b"}}}) {
    const Environment environment(job);
    CHECK(join_options_from_environment(Backend::gloo).size == 1);
  }
}

TEST_CASE("mpirun's variables are read, also inside of a Slurm job, and torchrun's before all") {
  std::map<std::string, std::string> job{{"OMPI_COMM_WORLD_RANK", "3"},
                                         {"OMPI_COMM_WORLD_SIZE", "4"},
                                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                         {"SLURM_PROCID", "1"},
                                         {"SLURM_NTASKS", "2"},
                                         {"SLURM_LOCALID", "0"},
                                         {"MASTER_ADDR", "head"}};
  {
    const Environment environment(job);
    const JoinOptions options = join_options_from_environment(Backend::gloo);
    CHECK(options.launcher == "mpirun");
    CHECK(options.rank == 3);
    CHECK(options.size == 4);
    CHECK(options.local_rank == 1);
    CHECK(options.local_size == 2);
    CHECK(options.master_address == "head");
    CHECK(options.master_port == 29500);
  }
  job.erase("MASTER_ADDR");
  CHECK(refusal(job).find("MASTER_ADDR") != std::string::npos);
  job["OMPI_COMM_WORLD_LOCAL_SIZE"] = "4";
  CHECK(refusal(job) == "accepted");
  job["WORLD_SIZE"] = "2";
  job["RANK"] = "0";
  job["LOCAL_RANK"] = "0";
  job["MASTER_ADDR"] = "127.0.0.1";
  job["MASTER_PORT"] = "2000";
  const Environment environment(job);
  CHECK(join_options_from_environment(Backend::gloo).size == 2);
  CHECK(join_options_from_environment(Backend::gloo).launcher == "torchrun");
}

TEST_CASE("the process manager's variables of MPICH are read") {
  {
    const Environment environment(
        {{"PMI_RANK", "1"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "4"}});
    const JoinOptions options = join_options_from_environment(Backend::gloo);
    CHECK(options.rank == 1);
    CHECK(options.local_size == 4);
    CHECK(options.master_address == "127.0.0.1");
  }
  const Environment environment({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}});
  CHECK(join_options_from_environment(Backend::gloo).local_rank == 1);
  CHECK(refusal({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}}).find("PMI_RANK") != std::string::npos);
}

TEST_CASE("Slurm's short forms") {
  CHECK(first_host("node[003-010,12],other") == "node003");
  CHECK(first_host("gpu-[1,5]-ib") == "gpu-1-ib");
  CHECK(first_host("r[1-2]n[03-04]") == "r1n03");
  CHECK(first_host("a1,b2") == "a1");
  CHECK_THROWS_AS(first_host("node[]"), Error);
  CHECK(tasks_per_node("4(x2),3") == std::vector<int>{4, 4, 3});
  CHECK(tasks_per_node("2") == std::vector<int>{2});
  for (const char* bad : {"x", "4(x", "4(x2", "0", "4(x99999999)", "4(x1000000),4(x1000000)"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(tasks_per_node(bad), Error);
  }
}

}  // namespace environment_test
