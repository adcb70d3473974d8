"""Models of transformers with random weights, and the same batches for both sides of a benchmark.

Each function writes a Hugging Face directory, "ours" (batches as bench/recorded.h reads them) and
"theirs" (what the class's forward takes), and gives what the row in docs/performance.md says.
"""

import json
import random

import safetensors.torch
import torch
import transformers

MASK, DEC = 103, 30522  # of BERT's vocabulary with BLIP's two words


def save(folder, model, ours, theirs, **config):
    """`ours`, `theirs`: a dict of tensors for each batch. config: laid on config.json."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if config:
        root = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**root, **config}))
    for name, batches in (("ours", ours), ("theirs", theirs)):
        tensors = {"%d.%s" % (i, key): value.contiguous().clone()
                   for i, batch in enumerate(batches) for key, value in batch.items()}
        safetensors.torch.save_file(tensors, str(folder / (name + ".safetensors")))
    return "%.1f M parameters" % (sum(p.numel() for p in model.parameters()) / 1e6)


def normalised(folder, pixels, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)):
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_mean": mean, "image_std": std, "resample": 3, "size_divisor": 32,
        "size": {"shortest_edge": pixels.shape[-2]}}))
    shape = (1, 3, 1, 1)
    return (pixels / 255.0 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)


def pictures(batch, height, width):
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)


def tower(width, heads, layers):
    return dict(hidden_size=width, intermediate_size=4 * width, num_attention_heads=heads,
                num_hidden_layers=layers)


def texts(lengths, words, first, last):
    """Ids from 1,000 on between two marks, padded on the right with 0."""
    ids = torch.randint(1000, words, (len(lengths), max(lengths)))
    mask = torch.zeros_like(ids)
    for i, length in enumerate(lengths):
        ids[i, 0], ids[i, length - 1], ids[i, length:] = first, last, 0
        mask[i, :length] = 1
    return ids, mask


def make_clip(folder, size):
    common = tower(size["width"], size["heads"], size["layers"])
    text = dict(vocab_size=1000, max_position_embeddings=32, eos_token_id=999, bos_token_id=998,
                pad_token_id=0, **common)
    vision = dict(image_size=size["side"], patch_size=size["patch"], **common)
    model = transformers.CLIPModel(transformers.CLIPConfig(
        text_config=text, vision_config=vision, projection_dim=size["width"]))
    ids = torch.randint(1, 998, (size["batch"], 32))
    ids[:, 0], ids[:, -1] = 998, 999
    pixels = pictures(size["batch"], size["side"], size["side"])
    told = save(folder, model, [{"text.ids": ids, "images.pixels": pixels}],
                [{"input_ids": ids, "pixel_values": normalised(
                    folder, pixels, (0.48145466, 0.4578275, 0.40821073),
                    (0.26862954, 0.26130258, 0.27577711))}])
    return told + ", batch %d" % size["batch"]


def vilt_batch(folder, sides, lengths):
    """sides: height and width of each picture. 15 % of the words are hidden."""
    height, width = (max(side[i] for side in sides) for i in (0, 1))
    pixels = pictures(len(sides), height, width)
    seen = torch.zeros(len(sides), height, width, dtype=torch.uint8)
    for i, (h, w) in enumerate(sides):
        seen[i, :h, :w] = 1
    pixels *= seen[:, None]
    ids, mask = texts(lengths, 30522, 101, 102)
    hidden = (torch.rand(ids.shape) < 0.15) & (ids >= 1000)
    hidden[:, 1] = True
    labels = ids.masked_fill(~hidden, -100)
    ids = ids.masked_fill(hidden, MASK)
    words = {"ids": ids, "mask": mask, "labels": labels, "lengths": torch.tensor(lengths)}
    ours = {"images.pixels": pixels, "images.mask": seen, "images.sizes": torch.tensor(sides),
            **{"masked." + key: value for key, value in words.items()},
            **{"text." + key: words[key] for key in ("ids", "mask", "lengths")}}
    theirs = {"input_ids": ids, "attention_mask": mask, "labels": labels,
              "pixel_values": normalised(folder, pixels) * seen[:, None],
              "pixel_mask": seen.long()}
    return ours, theirs


def vilt_model(size):
    return transformers.ViltForMaskedLM(transformers.ViltConfig(
        vocab_size=30522, image_size=384, patch_size=32, max_image_length=-1,
        **tower(size["width"], size["heads"], size["layers"])))


def make_vilt(folder, size):
    side = size["side"]
    ours, theirs = vilt_batch(folder, [(side, side)] * size["batch"], [40] * size["batch"])
    told = save(folder, vilt_model(size), [ours], [theirs])
    return told + ", masked words, batch %d, pictures of %d x %d in patches of 32, texts of 40" % (
        size["batch"], side, side)


def make_vilt_mixed(folder, size):
    """The shorter side 384, the longer as photographs have it, in ViLT's limits."""
    shapes = [(384, 384), (384, 512), (512, 384), (384, 576), (576, 384), (384, 608), (480, 384),
              (384, 480)]
    draw = random.Random(1)
    batches = []
    for _ in range(4):
        sides = draw.choices(shapes, k=size["batch"])
        batches.append(vilt_batch(folder, sides, [draw.randint(8, 30) for _ in sides]))
    told = save(folder, vilt_model(size), [b[0] for b in batches], [b[1] for b in batches])
    return told + (", masked words, batch %d, pictures with a shorter side of 384 and a longer of 384 "
                   "to 608 (eight shapes, equally often), texts of 8 to 30" % size["batch"])


def make_blip(folder, size):
    width, heads, layers = size["width"], size["heads"], size["layers"]
    common = tower(width, heads, layers)
    model = transformers.BlipForConditionalGeneration(transformers.BlipConfig(
        text_config=dict(vocab_size=30524, bos_token_id=DEC, encoder_hidden_size=width,
                         label_smoothing=0.1, **common),
        vision_config=dict(image_size=size["side"], patch_size=16, **common)))
    ids, mask = texts([30] * size["batch"], 30522, DEC, 102)
    pixels = pictures(size["batch"], size["side"], size["side"])
    told = save(folder, model, [{"text.ids": ids, "text.mask": mask, "images.pixels": pixels}],
                [{"input_ids": ids, "attention_mask": mask, "labels": ids,
                  "pixel_values": normalised(folder, pixels)}])
    return told + ", captions, batch %d, pictures of %d x %d in patches of 16, texts of 30" % (
        size["batch"], size["side"], size["side"])


def qwen2_vl_model(size):
    """The language model counts; its tower is as small as it gets."""
    return transformers.Qwen2VLForConditionalGeneration(transformers.Qwen2VLConfig(
        text_config=dict(
            hidden_size=size["width"], intermediate_size=size["hidden"], vocab_size=size["words"],
            num_hidden_layers=size["layers"], num_attention_heads=size["heads"],
            num_key_value_heads=size["kv_heads"], max_position_embeddings=4096, bos_token_id=1,
            eos_token_id=2, pad_token_id=0, rms_norm_eps=1e-6,
            rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[8, 12, 12])),
        vision_config=dict(depth=1, embed_dim=16, hidden_size=size["width"], num_heads=1,
                           mlp_ratio=1, patch_size=2),
        image_token_id=3, video_token_id=4, vision_start_token_id=5, vision_end_token_id=6,
        tie_word_embeddings=True))


def language_batch(lengths, words):
    rows = [torch.randint(10, words, (length,)) for length in lengths]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(r) for r in rows], batch_first=True)
    places = torch.cat([torch.arange(length) for length in lengths])
    labels = torch.cat(rows)
    labels[places == 0] = -100  # nothing of its own sample stands before it
    ours = {"text.ids": torch.cat(rows)[None], "text.labels": labels[None],
            "text.positions": places.expand(3, 1, -1),
            "text.segments": torch.repeat_interleave(torch.tensor(lengths))[None]}
    theirs = {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}
    return ours, theirs


def make_language(folder, size):
    draw = random.Random(1)
    low, high = size["lengths"]
    lengths = [[draw.randint(low, high) for _ in range(size["batch"])] for _ in range(3)]
    batches = [language_batch(one, size["words"]) for one in lengths]
    told = save(folder, qwen2_vl_model(size), [b[0] for b in batches], [b[1] for b in batches])
    padded = sum(len(one) * max(one) for one in lengths) / sum(map(sum, lengths))
    shape = "%d texts of %d tokens" % (size["batch"], low) if low == high else (
        "%d texts of %d to %d tokens, equally often (padded: %.2f times as many)" % (
            size["batch"], low, high, padded))
    return told + ", " + shape


def make_decoder(folder, size):
    ids, mask = torch.randint(10, size["words"], (1, size["prompt"])), torch.ones(
        1, size["prompt"], dtype=torch.long)
    ours = {"text.ids": ids, "text.mask": mask,
            "text.positions": torch.arange(size["prompt"]).expand(3, 1, -1)}
    told = save(folder, qwen2_vl_model(size), [ours], [{"input_ids": ids, "attention_mask": mask}])
    return told + ", %d tokens behind %d" % (size["tokens"], size["prompt"])


def blip2_config(size):
    return transformers.Blip2Config(
        vision_config=dict(hidden_size=352, intermediate_size=1536, num_hidden_layers=13,
                           num_attention_heads=4, image_size=224, patch_size=14,
                           attn_implementation="sdpa"),
        qformer_config=dict(hidden_size=192, intermediate_size=768, num_hidden_layers=4,
                            num_attention_heads=3, encoder_hidden_size=352,
                            cross_attention_frequency=2, vocab_size=2544, hidden_dropout_prob=0.0,
                            attention_probs_dropout_prob=0.0, use_qformer_text_input=True),
        num_query_tokens=32, image_text_hidden_size=64)


def make_blip2(folder, size):
    model = transformers.Blip2ForImageTextRetrieval(blip2_config(size))
    torch.nn.init.normal_(model.query_tokens, std=0.02)
    ours, theirs = [], []
    for _ in range(size["batches"]):
        pixels = pictures(size["batch"], 224, 224)
        ids, mask = texts([32] * size["batch"], 2543, 101, 102)
        picture = torch.arange(size["batch"])
        ours.append({"text.ids": ids, "text.mask": mask, "images.pixels": pixels,
                     "picture_ids": picture})
        theirs.append({"ids": ids, "pixel_values": normalised(folder, pixels)})
    config = model.config.to_dict()
    told = save(folder, model, ours, theirs)
    words = model.embeddings.word_embeddings.weight
    width = words.shape[1]
    weights = safetensors.torch.load_file(str(folder / "model.safetensors"))
    weights.update({
        "temp": torch.tensor(0.07), "cls.predictions.bias": torch.zeros(words.shape[0]),
        "cls.predictions.transform.dense.weight": torch.randn(width, width) * 0.02,
        "cls.predictions.transform.dense.bias": torch.zeros(width),
        "cls.predictions.transform.LayerNorm.weight": torch.ones(width),
        "cls.predictions.transform.LayerNorm.bias": torch.zeros(width)})
    safetensors.torch.save_file(weights, str(folder / "model.safetensors"), {"format": "pt"})
    config["vision_config"]["post_layer_norm_eps"] = config["vision_config"]["layer_norm_eps"]
    config["qformer_config"]["bos_token_id"] = words.shape[0] - 1
    root = {"architectures": ["Blip2Qformer"], "model_type": "blip-2", "num_query_tokens": 32,
            "image_text_hidden_size": 64, "max_txt_len": 32, "vision_config": config["vision_config"],
            "qformer_config": config["qformer_config"]}
    (folder / "config.json").write_text(json.dumps(root, default=str))
    return told + ", %d pictures of 224 x 224 in batches of %d" % (
        size["batch"] * size["batches"], size["batch"])
