"""What is trained: each module has `runs` and `sections(record)`, a list of Markdown texts."""
from . import clip, connectors, language_models, pair_models, whole

groups = {"whole": whole, "clip": clip, "pair_models": pair_models, "language_models": language_models,
          "connectors": connectors}
