"""Real defects of multi-head attention from public trackers, which faults of the catalogue repeat."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shipped:
    """One defect that reached users."""

    project: str
    url: str


SHIPPED: dict[str, Shipped] = {
    "B001": Shipped("pytorch nn.MultiheadAttention", "https://github.com/pytorch/pytorch/issues/41508"),
    "B002": Shipped("pytorch nn.MultiheadAttention", "https://github.com/pytorch/pytorch/issues/160064"),
    "B004": Shipped("pytorch SDPA", "https://github.com/pytorch/pytorch/issues/127055"),
    "B008": Shipped("onnx spec + reference", "https://github.com/onnx/onnx/pull/8068"),
    "B010": Shipped("flash-attention", "https://github.com/Dao-AILab/flash-attention/issues/443"),
    "B011": Shipped("pytorch MHA nested fast path", "https://github.com/pytorch/pytorch/issues/81077"),
    "B013": Shipped("tinygrad", "https://github.com/tinygrad/tinygrad"),
    "B014": Shipped("x-transformers", "https://github.com/lucidrains/x-transformers/issues/160"),
    "B016": Shipped("candle", "https://github.com/huggingface/candle/pull/2878"),
    "B017": Shipped("torchTextClassifiers", "https://github.com/InseeFrLab/torchTextClassifiers/pull/92"),
    "B020": Shipped("mlverse/torch", "https://github.com/mlverse/torch/pull/1208"),
    "B022": Shipped("hyunwoongko/transformer", "https://github.com/hyunwoongko/transformer/pull/40"),
    "B023": Shipped("DI-engine GTrXL", "https://github.com/opendilab/DI-engine/issues/333"),
    "B025": Shipped("Kyubyong/transformer", "https://github.com/Kyubyong/transformer/pull/69"),
    "B026": Shipped(
        "good-features ABMIL; torchtext-style", "https://github.com/georg-wolflein/good-features/pull/1"
    ),
    "B028": Shipped("transformers", "https://github.com/huggingface/transformers/pull/47946"),
    "B031": Shipped("keras 3 MHA+GQA", "https://github.com/keras-team/keras/issues/23038"),
    "B032": Shipped("pytorch nn.MultiheadAttention", "https://github.com/pytorch/pytorch/issues/99282"),
    "B034": Shipped("xformers", "https://github.com/facebookresearch/xformers/issues/103"),
    "B035": Shipped("pytorch SDPA", "https://github.com/pytorch/pytorch/issues/103082"),
    "B037": Shipped("onnxruntime", "https://github.com/microsoft/onnxruntime/issues/29020"),
    "B041": Shipped("transformers + flash-attn", "https://github.com/huggingface/transformers/issues/39408"),
    "B043": Shipped("pytorch MPS", "https://github.com/pytorch/pytorch/issues/195910"),
    "B047": Shipped("jax", "https://github.com/jax-ml/jax/issues/32300"),
    "B052": Shipped(
        "attention-is-all-you-need-keras",
        "https://github.com/lsdefine/attention-is-all-you-need-keras/issues/36",
    ),
    "B053": Shipped("FuxiCTR", "https://github.com/reczoo/FuxiCTR/issues/130"),
    "B055": Shipped("mlx-lm", "https://github.com/ml-explore/mlx-lm/pull/1467"),
    "B056": Shipped("pytorch MPS", "https://github.com/pytorch/pytorch/pull/184180"),
    "B058": Shipped("dm-haiku", "https://github.com/google-deepmind/dm-haiku/issues/202"),
    "B059": Shipped("keras 3", "https://github.com/keras-team/keras/pull/20488"),
    "B064": Shipped("pytorch TransformerEncoder nested", "https://github.com/pytorch/pytorch/issues/97111"),
    "B065": Shipped("pytorch TransformerEncoder", "https://github.com/pytorch/pytorch/issues/178677"),
    "B067": Shipped("vit-pytorch", "https://github.com/lucidrains/vit-pytorch/issues/65"),
    "B068": Shipped("dfdx", "https://github.com/chelsea0x3b/dfdx/issues/171"),
    "B070": Shipped("set_transformer", "https://github.com/juho-lee/set_transformer/issues/18"),
    "B071": Shipped("ethen8181/machine-learning", "https://github.com/ethen8181/machine-learning/issues/13"),
    "B073": Shipped("maxtext MLA cudnn", "https://github.com/AI-Hypercomputer/maxtext/issues/3138"),
    "B076": Shipped("TransformerEngine JAX", "https://github.com/NVIDIA/TransformerEngine/pull/236"),
    "B077": Shipped("pytorch inductor", "https://github.com/pytorch/pytorch/pull/174361"),
    "B080": Shipped("onnx reference / onnxruntime", "https://onnx.ai/onnx/operators/onnx__Attention.html"),
    "B082": Shipped(
        "labml DDPM UNet",
        "https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
    ),
    "B083": Shipped("PyTorch-NLP", "https://github.com/PetrochukM/PyTorch-NLP/issues/2"),
    "B085": Shipped(
        "fairseq/apex/OpenAI gpt-2/torchbench", "https://github.com/facebookresearch/fairseq/issues/3575"
    ),
    "B086": Shipped("flax", "https://github.com/google/flax/issues/982"),
    "B088": Shipped("pytorch MHA", "https://github.com/pytorch/pytorch/issues/60939"),
    "B089": Shipped("pytorch SDPA", "https://github.com/pytorch/pytorch/issues/119131"),
    "B091": Shipped("llama.cpp hexagon", "https://github.com/ggml-org/llama.cpp/pull/24389"),
    "B092": Shipped(
        "metal-flash-attention", "https://github.com/philipturner/metal-flash-attention/issues/8"
    ),
    "B094": Shipped("pytorch SDPA cuDNN", "https://github.com/pytorch/pytorch/pull/191612"),
    "B097": Shipped("FuxiCTR (AutoInt, DESTINE, InterHAt)", "https://github.com/reczoo/FuxiCTR/issues/30"),
    "B098": Shipped(
        "Chinese-Text-Classification-Pytorch",
        "https://github.com/649453932/Chinese-Text-Classification-Pytorch/issues/53",
    ),
    "B100": Shipped(
        "ajhalthor/Transformer-Neural-Network",
        "https://github.com/ajhalthor/Transformer-Neural-Network/pull/4",
    ),
    "B101": Shipped(
        "Transformer-Various-Positional-Encoding",
        "https://github.com/gazelle93/Transformer-Various-Positional-Encoding/issues/1",
    ),
    "B104": Shipped("kornia", "https://github.com/kornia/kornia/issues/2186"),
    "B106": Shipped("AEMatter", "https://github.com/aipixel/AEMatter/issues/3"),
    "B107": Shipped("GPT-NeoX ports / Megatron-NeMo Eagle3", "https://github.com/NVIDIA-NeMo/RL/pull/2802"),
    "B109": Shipped(
        "yflyzhang/AnnotatedTransformer", "https://github.com/yflyzhang/AnnotatedTransformer/issues/1"
    ),
    "B110": Shipped(
        "Deep Learning with Python notebook ch15",
        "https://github.com/fchollet/deep-learning-with-python-notebooks/issues/267",
    ),
    "B112": Shipped("keras-multi-head", "https://github.com/CyberZHG/keras-multi-head/issues/8"),
    "B113": Shipped("p4-dkt", "https://github.com/bcaitech1/p4-dkt-no_caffeine_no_gain/issues/75"),
    "B115": Shipped("fairseq", "https://github.com/facebookresearch/fairseq/issues/3365"),
    "B118": Shipped("pytorch nn.MultiheadAttention", "https://github.com/pytorch/pytorch/issues/166378"),
    "B119": Shipped("pytorch nn.MultiheadAttention", "https://github.com/pytorch/pytorch/issues/57117"),
    "B121": Shipped("xformers", "https://github.com/facebookresearch/xformers/pull/303"),
    "B122": Shipped("timm / nanoGPT", "https://github.com/huggingface/pytorch-image-models/pull/1978"),
    "B124": Shipped("torchtune", "https://github.com/meta-pytorch/torchtune/issues/1791"),
    "B125": Shipped("equinox", "https://github.com/patrick-kidger/equinox/issues/287"),
    "B130": Shipped("nki-samples", "https://github.com/aws-neuron/nki-samples/pull/80"),
    "B131": Shipped("flax linen/nnx", "https://github.com/google/flax/pull/3384"),
    "B136": Shipped("pytorch TransformerEncoder", "https://github.com/pytorch/pytorch/issues/86120"),
    "B137": Shipped("mlx", "https://github.com/ml-explore/mlx/issues/3452"),
    "B142": Shipped("ffpa-attn", "https://github.com/xlite-dev/ffpa-attn/pull/300"),
    "B145": Shipped("xformers", "https://github.com/facebookresearch/xformers/issues/783"),
    "B146": Shipped("pytorch SDPA cuDNN", "https://github.com/pytorch/pytorch/issues/196678"),
    "B148": Shipped("pytorch flex", "https://github.com/pytorch/pytorch/issues/158212"),
    "B149": Shipped("flash-attention", "https://github.com/Dao-AILab/flash-attention/pull/1500"),
    "B151": Shipped("pytorch SDPA CUDA", "https://github.com/pytorch/pytorch/issues/112577"),
    "B152": Shipped("torch-spyre", "https://github.com/torch-spyre/torch-spyre/issues/4331"),
    "B154": Shipped("pytorch SDPA efficient", "https://github.com/pytorch/pytorch/issues/162588"),
    "B155": Shipped("mlx", "https://github.com/ml-explore/mlx/issues/2894"),
    "B157": Shipped("pytorch SDPA CPU", "https://github.com/pytorch/pytorch/issues/141219"),
    "B169": Shipped("pytorch MHA", "https://github.com/pytorch/pytorch/issues/27623"),
    "B172": Shipped("keras 3", "https://github.com/keras-team/keras/issues/19688"),
    "B173": Shipped("attention-gym", "https://github.com/meta-pytorch/attention-gym/pull/86"),
}
