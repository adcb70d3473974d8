// A stage that works on data instead of training: jobs/capfilt.h, jobs/train_codes.h.
#include "config/describe.h"

namespace tandem::config {
namespace {

// Left out of the resolved file as they are, which runs of captions and filters began without.
void describe_codes(FieldVisitor& v, JobConfig& job) {
  const JobConfig plain;
  v.field("samples", job.samples,
          {.doc = "codes: pictures that they are learned from, drawn by the seed from all inputs; "
                  "without it, 8192",
           .min = 1,
           .unit = Unit::samples,
           .unset = static_cast<double>(plain.samples)});
  v.field(
      "patches", job.patches,
      {.doc = "codes: patches of each of them at most, drawn by the seed; 0: all; without it, 16",
       .min = 0,
       .unset = static_cast<double>(plain.patches)});
  v.field(
      "rounds", job.rounds,
      {.doc = "codes: of k-means, at most; it ends where nothing moves any more; without it, 30",
       .min = 1,
       .max = 100000,
       .unset = static_cast<double>(plain.rounds),
       .aliases = {"iterations", "niter"}});
}

}  // namespace

void describe_job(FieldVisitor& v, JobConfig& job, const StageSurroundings& around) {
  v.field("task", job.task,
          {.doc = "caption: writes one for every picture; filter: drops those that do not match "
                  "their picture; codes: k-means codes of the pictures' patches, as many as the "
                  "model has, for a stage behind it that names them in `codes`",
           .required = true,
           .choices = {"caption", "filter", "codes"}});
  v.field("inputs", job.inputs,
          {.doc = "sources, and job stages before this one, whose captions are sources by their "
                  "names",
           .required = true,
           .aliases = {"sources", "source"}});
  for (const std::string& name : job.inputs) check_source_name(v, "inputs", name, around.sources);
  v.field("batch", job.batch, {.doc = "samples at once", .min = 1, .unit = Unit::samples});
  v.field(
      "part", job.part,
      {.doc = "samples between two looks at signals; what is done of one is lost when the run is "
              "killed",
       .min = 1,
       .unit = Unit::samples});
  v.field("top_p", job.top_p,
          {.doc = "caption: words are drawn among the likeliest that make up this share",
           .min = 0,
           .max = 1,
           .above_min = true});
  v.field("repetition_penalty", job.repetition_penalty,
          {.doc = "caption: words that are there become less likely", .min = 1, .max = 100});
  v.field("beams", job.beams, {.doc = "caption: above 1 nothing is drawn", .min = 1, .max = 1024});
  v.field("max_length", job.max_length,
          {.doc = "caption: most tokens, marks and prompt included", .min = 2, .max = 65536});
  v.field("min_length", job.min_length, {.doc = "and fewest", .min = 0, .max = 65536});
  v.field("prompt", job.prompt,
          {.doc = "caption: words that each begins with; empty: the model's", .unset = 0});
  v.field("threshold", job.threshold,
          {.doc = "filter: kept above this probability of a match", .min = 0, .max = 1});
  v.field(
      "shards", job.shards,
      {.doc = "caption, filter: what is kept also as NNNNNN.tar beside NNNNNN.jsonl, each caption "
              "with its picture (format: webdataset)",
       .unset = 0});
  describe_codes(v, job);
}

}  // namespace tandem::config
