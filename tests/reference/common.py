"""What the scripts of this folder share: folders of fixtures, what is recorded in them, and what
stands in the place of libraries that originals import.
"""
import json
import pathlib
import shutil
import sys
import types

import torch
import transformers
from safetensors.torch import save_file


# --- Fixtures ----------------------------------------------------------------------------------

def out_folder(argument):
    """The folder that the command line names at this place, or fixtures/."""
    given = sys.argv[argument:argument + 1]
    return pathlib.Path(given[0] if given else pathlib.Path(__file__).parent / "fixtures")


def fresh(out, name):
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def save_pretrained(folder, model):
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def write_config(folder, config):
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def copies(tensors):
    return {k: v.detach().contiguous().clone() for k, v in tensors.items()}


def save_weights(folder, tensors):
    save_file(copies(tensors), str(folder / "model.safetensors"), {"format": "pt"})


def save_reference(folder, tensors, model_class, told=(), most=None, **metadata):
    """reference.safetensors; `told` is printed with the folder's size, which is below `most`."""
    metadata = {"class": model_class, "torch": torch.__version__,
                "transformers": transformers.__version__,
                "script": "tests/reference/" + pathlib.Path(sys.argv[0]).name, **metadata}
    save_file(copies(tensors), str(folder / "reference.safetensors"), metadata)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(folder.name, size // 1024, "KiB", len(tensors), "tensors", *told)
    assert most is None or size < most


def losses_told(losses, digits=4):
    return {k: round(v.item(), digits) for k, v in losses.items() if k.startswith("loss")}


def as_tensor(value):
    return value if torch.is_tensor(value) else torch.tensor(int(value))


def flat(outputs, prefix=""):
    """The tensors of transformers' outputs and of those within them, but for caches."""
    for name, value in outputs.items():
        if torch.is_tensor(value):
            yield prefix + name, value
        elif isinstance(value, dict) and "past" not in name and prefix == "":
            yield from flat(value, name + ".")


def gradients(model, frozen=True):
    """`grad.NAME`, zeros where nothing came; `frozen`: with parameters that take none."""
    for name, p in model.named_parameters():
        if frozen or p.requires_grad:
            yield "grad." + name, p.grad if p.grad is not None else torch.zeros_like(p)


def aliases_of(model):
    """Second and further names of the state's tensors, with their first."""
    first, aliases = {}, {}
    for name, value in model.state_dict(keep_vars=True).items():
        own = first.setdefault(id(value), name)
        if own != name:
            aliases[name] = own
    return aliases


class Draws:
    """What torch.multinomial draws while this is entered."""

    def __init__(self):
        self.drawn = []

    def __enter__(self):
        self.multinomial = torch.multinomial

        def recorded(*arguments):
            self.drawn.append(self.multinomial(*arguments))
            return self.drawn[-1]

        torch.multinomial = recorded
        return self

    def __exit__(self, *_):
        torch.multinomial = self.multinomial

    def negatives(self, batch):
        """Of an image-text matching step: pictures for the texts, then texts for the pictures."""
        return {"itm_neg_image_idx": torch.cat(self.drawn[:batch]),
                "itm_neg_text_idx": torch.cat(self.drawn[batch:])}


# --- Originals ---------------------------------------------------------------------------------

class Module(torch.nn.Module):
    """In the place of PreTrainedModel."""

    def __init__(self, config, *_, **__):
        super().__init__()
        self.config = config

    @classmethod
    def from_pretrained(cls, _, config=None, **kw):
        return cls(config, **kw)

    def init_weights(self):
        pass

    def resize_token_embeddings(self, _):
        pass

    @property
    def dtype(self):
        return torch.float32

    def get_head_mask(self, _, layers):
        return [None] * layers

    def invert_attention_mask(self, mask):
        return (1.0 - mask[:, None, None, :].float()) * -10000.0


class Tokenizer:
    """Gives back the batch it was made with; `special`: pad_token_id and the like."""

    def __init__(self, ids, mask, words, **special):
        self.batch = types.SimpleNamespace(input_ids=ids, attention_mask=mask)
        self.batch.to = lambda _: self.batch
        self.words = words
        self.__dict__.update(special)

    def __len__(self):
        return self.words

    def __call__(self, *_, **__):
        return self.batch


def stand_in(name, **members):
    """A module of that name that holds nothing else."""
    made = sys.modules[name] = types.ModuleType(name)
    made.__dict__.update(members)
    return made


def transformers_4(model_class=Module):
    """What originals import from transformers 4; `model_class` is their PreTrainedModel."""
    import transformers.file_utils as file_utils
    import transformers.modeling_utils as modeling_utils
    from transformers import pytorch_utils
    from transformers.models.bert.configuration_bert import BertConfig  # noqa: before the stand-ins
    modeling_utils.PreTrainedModel = model_class
    for name in ("apply_chunking_to_forward", "prune_linear_layer"):
        setattr(modeling_utils, name, getattr(pytorch_utils, name))
    modeling_utils.find_pruneable_heads_and_indices = None
    plain = lambda *_, **__: (lambda f: f)  # noqa: E731
    for name in ("add_code_sample_docstrings", "add_start_docstrings",
                 "add_start_docstrings_to_model_forward", "replace_return_docstrings"):
        setattr(file_utils, name, plain)


def no_fairscale():
    for name in ("fairscale", "fairscale.nn", "fairscale.nn.checkpoint"):
        stand_in(name)
    stand_in("fairscale.nn.checkpoint.checkpoint_activations", checkpoint_wrapper=lambda m: m)


def one_process():
    if not torch.distributed.is_initialized():
        store = torch.distributed.HashStore()
        torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=store)
