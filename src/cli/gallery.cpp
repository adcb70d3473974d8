#include <cstdio>
#include <limits>

#include "cli/common.h"
#include "cli/ranks.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/data/inspect.h"
#include "tandem/data/pictures.h"
#include "tandem/eval/search.h"
#include "tandem/jobs/open_model.h"
#include "tandem/train/experiment.h"

namespace tandem::cli {
namespace {

namespace fs = std::filesystem;

struct EmbedArguments {
  std::string model{}, from{}, source{}, out{};
  std::int64_t size = std::numeric_limits<std::int64_t>::max(), batch = 64;
  std::int64_t captions = 0;
  bool pictures_only = false;
};

// A folder of pictures, a source of a config, or whatever else a path says that it is.
std::shared_ptr<const data::Source> source_of(const EmbedArguments& arguments, bool& texts) {
  std::error_code error;
  if (fs::is_directory(arguments.from, error)) {
    texts = false;
    return data::open_pictures(arguments.from);
  }
  if (!arguments.from.ends_with(".yaml") && !arguments.from.ends_with(".yml")) {
    return data::open_path(arguments.from, "");
  }
  const config::RunConfig config = config::load(arguments.from, {}, tables()).config;
  std::string names;
  for (const config::SourceConfig& one : config.sources) {
    names += (names.empty() ? "" : ", ") + one.name;
    if (arguments.source.empty() || one.name == arguments.source) {
      return data::open_source(one.format, *one.settings);
    }
  }
  throw Error(ErrorKind::config,
              "[embed] expected a source of {" + names + "}; got '" + arguments.source + "'",
              "--source");
}

int embed(const EmbedArguments& arguments, const Place& place) {
  const jobs::OpenModel model = jobs::open_model(arguments.model);
  bool texts = !arguments.pictures_only;
  const auto source = source_of(arguments, texts);
  model.model->to(place.device);
  const eval::Input input{.model = model.model.get(),
                          .processor = &model.processor,
                          .source = source,
                          .size = arguments.size,
                          .batch = arguments.batch,
                          .mesh = &place.mesh,
                          .device = place.device};
  const eval::Gallery gallery =
      eval::embed_gallery(input, {.texts = texts, .captions = arguments.captions});
  if (place.mesh.rank() != 0) return 0;
  eval::save_gallery(arguments.out, gallery,
                     {.model = fs::absolute(model.directory).lexically_normal().string(),
                      .model_hash = jobs::model_hash(model.directory),
                      .source = source->fingerprint()});
  log_info(std::to_string(gallery.entries.size()) + " pictures" +
           (texts ? " and " + std::to_string(gallery.text.size(0)) + " texts" : "") + " in " +
           arguments.out);
  return 0;
}

struct SearchArguments {
  std::string gallery{}, text{}, image{}, model{}, in = "pictures";
  std::int64_t top = 10;
};

int search(const SearchArguments& arguments) {
  const eval::StoredGallery stored = eval::load_gallery(arguments.gallery);
  const jobs::OpenModel model =
      jobs::open_model(arguments.model.empty() ? stored.origin.model : arguments.model);
  if (jobs::model_hash(model.directory) != stored.origin.model_hash) {
    throw Error(ErrorKind::config,
                "[search] expected the model that the gallery was made with; got another",
                model.directory.string(), "make it again with `tandem embed`, or name the model");
  }
  eval::SearchQuery query{
      .text = arguments.text, .in_texts = arguments.in == "texts", .top = arguments.top};
  if (!arguments.image.empty()) query.picture = read_file(arguments.image, 1 << 28);
  for (const eval::Found& one :
       eval::search(stored.gallery, *model.model, model.processor, query)) {
    std::printf("%lld\t%.6f\t%s\t%s\n", static_cast<long long>(one.place), one.score,
                one.id.c_str(), one.text.c_str());
  }
  return 0;
}

}  // namespace

void add_embed(CLI::App& app, const Choose& choose, const std::vector<std::string>& command) {
  CLI::App* verb = app.add_subcommand("embed", "store the rows of a source, to be searched");
  const auto arguments = std::make_shared<EmbedArguments>();
  verb->add_option("MODEL", arguments->model, "a run, a checkpoint or a Hugging Face directory")
      ->required();
  verb->add_option("SOURCE", arguments->from,
                   "a folder of pictures, a config with sources (.yaml), or a source's path: a "
                   ".tar, coco:A.json")
      ->required();
  verb->add_option("--source", arguments->source, "of the config (default: its first)");
  verb->add_option("--out", arguments->out, "the gallery's folder")->required();
  verb->add_option("--size", arguments->size, "samples, from the start (default: all)")
      ->check(CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()));
  verb->add_option("--batch", arguments->batch, "samples at once")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
  verb->add_option("--captions", arguments->captions, "of a picture, the first ones (0: all)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 20));
  verb->add_flag("--pictures-only", arguments->pictures_only, "no rows of texts");
  const auto ranks = add_rank_arguments(*verb);
  verb->callback([=] {
    choose([=] {
      return on_ranks(*ranks, command,
                      [=](const Place& place) { return embed(*arguments, place); });
    });
  });
}

void add_search(CLI::App& app, const Choose& choose) {
  CLI::App* verb = app.add_subcommand(
      "search", "the nearest of a gallery: place, score, id and text of each, tabs between");
  const auto arguments = std::make_shared<SearchArguments>();
  verb->add_option("GALLERY", arguments->gallery, "a folder made by `tandem embed`")->required();
  CLI::Option* text = verb->add_option("--text", arguments->text, "what is looked for, in words");
  CLI::Option* image = verb->add_option("--image", arguments->image, "or by a picture's file");
  text->excludes(image);
  verb->add_option("--in", arguments->in, "pictures or texts")
      ->check(CLI::IsMember({"pictures", "texts"}));
  verb->add_option("--top", arguments->top, "how many")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30));
  verb->add_option("--model", arguments->model, "where the gallery's model is now");
  verb->callback([=] {
    choose([=] {
      if (arguments->text.empty() && arguments->image.empty()) {
        throw Error(ErrorKind::config, "expected --text or --image; got neither", "tandem search");
      }
      return search(*arguments);
    });
  });
}

}  // namespace tandem::cli
