"""Real defects of multi-head attention from public trackers, which faults of the catalogue repeat."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shipped:
    """One defect that reached users."""

    project: str
    title: str
    url: str


SHIPPED: dict[str, Shipped] = {
    "B001": Shipped(
        "pytorch nn.MultiheadAttention",
        "One fully-masked query row turns every parameter gradient NaN (need_weights=True)",
        "https://github.com/pytorch/pytorch/issues/41508",
    ),
    "B002": Shipped(
        "pytorch nn.MultiheadAttention",
        "Masking a whole head gives NaN for the entire output when need_weights=True, zeros when False",
        "https://github.com/pytorch/pytorch/issues/160064",
    ),
    "B004": Shipped(
        "pytorch SDPA",
        "MHA/SDPA CPU flash: NaN for long sequences with a mask that ignores old tokens (need_weights=False)",
        "https://github.com/pytorch/pytorch/issues/127055",
    ),
    "B008": Shipped(
        "onnx spec + reference",
        "ONNX Attention composed is_causal+attn_mask gives NaN / mean-of-V for empty rows",
        "https://github.com/onnx/onnx/pull/8068",
    ),
    "B010": Shipped(
        "flash-attention",
        "FlashAttention-2 dQ NaN when seqlen_q > seqlen_k with causal",
        "https://github.com/Dao-AILab/flash-attention/issues/443",
    ),
    "B011": Shipped(
        "pytorch MHA nested fast path",
        "Zero-length sequences in nested/packed batch produce NaN",
        "https://github.com/pytorch/pytorch/issues/81077",
    ),
    "B013": Shipped(
        "tinygrad",
        "tinygrad SDPA NaN on fully masked bool row",
        "https://github.com/tinygrad/tinygrad",
    ),
    "B014": Shipped(
        "x-transformers",
        "Flash path interprets boolean mask inverted",
        "https://github.com/lucidrains/x-transformers/issues/160",
    ),
    "B016": Shipped(
        "candle",
        "DistilBERT attention mask not inverted",
        "https://github.com/huggingface/candle/pull/2878",
    ),
    "B017": Shipped(
        "torchTextClassifiers",
        "LabelAttention mask inverted when handed to SDPA",
        "https://github.com/InseeFrLab/torchTextClassifiers/pull/92",
    ),
    "B020": Shipped(
        "mlverse/torch",
        "R torch: float key_padding_mask treated as boolean and vice versa",
        "https://github.com/mlverse/torch/pull/1208",
    ),
    "B022": Shipped(
        "hyunwoongko/transformer",
        "Padding mask unsqueezed on the wrong axis masks query rows instead of keys",
        "https://github.com/hyunwoongko/transformer/pull/40",
    ),
    "B023": Shipped(
        "DI-engine GTrXL",
        "masked_fill (not in-place) result discarded: mask is a no-op",
        "https://github.com/opendilab/DI-engine/issues/333",
    ),
    "B025": Shipped(
        "Kyubyong/transformer",
        "Mask derived from data (reduce_sum == 0) rather than from padding ids",
        "https://github.com/Kyubyong/transformer/pull/69",
    ),
    "B026": Shipped(
        "good-features ABMIL; torchtext-style",
        "Mask multiplied into logits (0 instead of -inf)",
        "https://github.com/georg-wolflein/good-features/pull/1",
    ),
    "B028": Shipped(
        "transformers",
        "GPT2 encoder_attention_mask silently overwritten with None",
        "https://github.com/huggingface/transformers/pull/47946",
    ),
    "B031": Shipped(
        "keras 3 MHA+GQA",
        "use_causal_mask silently dropped when dropout>0, return_attention_scores=True or rank!=4",
        "https://github.com/keras-team/keras/issues/23038",
    ),
    "B032": Shipped(
        "pytorch nn.MultiheadAttention",
        "is_causal ignored when need_weights=True",
        "https://github.com/pytorch/pytorch/issues/99282",
    ),
    "B034": Shipped(
        "xformers",
        "Causal mask skipped if att_mask is None",
        "https://github.com/facebookresearch/xformers/issues/103",
    ),
    "B035": Shipped(
        "pytorch SDPA",
        "is_causal Lq != Lk: top-left default breaks KV-cache decoding",
        "https://github.com/pytorch/pytorch/issues/103082",
    ),
    "B037": Shipped(
        "onnxruntime",
        "ONNX Attention is_causal: CPU bottom-right vs CUDA top-left",
        "https://github.com/microsoft/onnxruntime/issues/29020",
    ),
    "B041": Shipped(
        "transformers + flash-attn",
        "Sliding window off by one (flash window_size is inclusive)",
        "https://github.com/huggingface/transformers/issues/39408",
    ),
    "B043": Shipped(
        "pytorch MPS",
        "MPS SDPA leaks future tokens for 3 of every 4 query rows in fp16/bf16",
        "https://github.com/pytorch/pytorch/issues/195910",
    ),
    "B047": Shipped(
        "jax",
        "jax.nn.dot_product_attention ignores local_window_size when mask is None",
        "https://github.com/jax-ml/jax/issues/32300",
    ),
    "B052": Shipped(
        "attention-is-all-you-need-keras",
        "mask repeat order (repeat_elements vs tile) pairs mask with the wrong (batch, head)",
        "https://github.com/lsdefine/attention-is-all-you-need-keras/issues/36",
    ),
    "B053": Shipped(
        "FuxiCTR",
        "mask repeated over wrong axis for num_heads>1",
        "https://github.com/reczoo/FuxiCTR/issues/130",
    ),
    "B055": Shipped(
        "mlx-lm",
        "Quantized SDPA GQA + batched padding mask broadcast",
        "https://github.com/ml-explore/mlx-lm/pull/1467",
    ),
    "B056": Shipped(
        "pytorch MPS",
        "MPS SDPA mask offset wrong for partially broadcast masks",
        "https://github.com/pytorch/pytorch/pull/184180",
    ),
    "B058": Shipped(
        "dm-haiku",
        "hk.MultiHeadAttention/transformer example mask shape mismatch",
        "https://github.com/google-deepmind/dm-haiku/issues/202",
    ),
    "B059": Shipped(
        "keras 3",
        "Keras attention_mask expanded on wrong axis (KerasHub)",
        "https://github.com/keras-team/keras/pull/20488",
    ),
    "B064": Shipped(
        "pytorch TransformerEncoder nested",
        "Left-padding encoder _upad / TransformerEncoder output truncated when trailing columns are padded for the whole batch",
        "https://github.com/pytorch/pytorch/issues/97111",
    ),
    "B065": Shipped(
        "pytorch TransformerEncoder",
        "All-padded batch: eager eval raises, train returns values, torch.compile returns values",
        "https://github.com/pytorch/pytorch/issues/178677",
    ),
    "B067": Shipped(
        "vit-pytorch",
        "scale = dim**-0.5 instead of dim_head**-0.5",
        "https://github.com/lucidrains/vit-pytorch/issues/65",
    ),
    "B068": Shipped(
        "dfdx",
        "Divides by sqrt(embed) instead of sqrt(head_dim)",
        "https://github.com/chelsea0x3b/dfdx/issues/171",
    ),
    "B070": Shipped(
        "set_transformer",
        "set_transformer divides by sqrt(dim_V)",
        "https://github.com/juho-lee/set_transformer/issues/18",
    ),
    "B071": Shipped(
        "ethen8181/machine-learning",
        "Scale missing entirely (and out-proj result unused)",
        "https://github.com/ethen8181/machine-learning/issues/13",
    ),
    "B073": Shipped(
        "maxtext MLA cudnn",
        "Double scaling (query pre-scaled, kernel scales again)",
        "https://github.com/AI-Hypercomputer/maxtext/issues/3138",
    ),
    "B076": Shipped(
        "TransformerEngine JAX",
        "Softmax(scale*weights+bias) computed in wrong order when fused with bias",
        "https://github.com/NVIDIA/TransformerEngine/pull/236",
    ),
    "B077": Shipped(
        "pytorch inductor",
        "Inductor SDPA pattern uses default scale when eager used another",
        "https://github.com/pytorch/pytorch/pull/174361",
    ),
    "B080": Shipped(
        "onnx reference / onnxruntime",
        "ONNX Attention reference splits sqrt(scale): negative scale NaN; ORT refuses",
        "https://onnx.ai/onnx/operators/onnx__Attention.html",
    ),
    "B082": Shipped(
        "labml DDPM UNet",
        "softmax over the query axis (dim=1)",
        "https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
    ),
    "B083": Shipped(
        "PyTorch-NLP",
        "nn.Softmax(dim=0): weights always 1 for batch 1",
        "https://github.com/PetrochukM/PyTorch-NLP/issues/2",
    ),
    "B085": Shipped(
        "fairseq/apex/OpenAI gpt-2/torchbench",
        "-1e9/-1e8/-1e10 mask constants overflow fp16",
        "https://github.com/facebookresearch/fairseq/issues/3575",
    ),
    "B086": Shipped(
        "flax",
        "Attention in float16 NaN with mask",
        "https://github.com/google/flax/issues/982",
    ),
    "B088": Shipped(
        "pytorch MHA",
        "fp16 QK overflow -> inf -> NaN on the explicit-softmax (need_weights) path",
        "https://github.com/pytorch/pytorch/issues/60939",
    ),
    "B089": Shipped(
        "pytorch SDPA",
        "autocast: math backend NaN, mem-efficient fine",
        "https://github.com/pytorch/pytorch/issues/119131",
    ),
    "B091": Shipped(
        "llama.cpp hexagon",
        "HMX flash attention online-softmax stats in fp16",
        "https://github.com/ggml-org/llama.cpp/pull/24389",
    ),
    "B092": Shipped(
        "metal-flash-attention",
        "alpha applied after QK in half precision",
        "https://github.com/philipturner/metal-flash-attention/issues/8",
    ),
    "B094": Shipped(
        "pytorch SDPA cuDNN",
        "cuDNN reinterprets fp32 mask bits as fp16/bf16",
        "https://github.com/pytorch/pytorch/pull/191612",
    ),
    "B097": Shipped(
        "FuxiCTR (AutoInt, DESTINE, InterHAt)",
        "split heads with view(B*H,-1,d) without transpose",
        "https://github.com/reczoo/FuxiCTR/issues/30",
    ),
    "B098": Shipped(
        "Chinese-Text-Classification-Pytorch",
        "split heads with view(B*H,-1,d) without transpose (text-classification tutorial)",
        "https://github.com/649453932/Chinese-Text-Classification-Pytorch/issues/53",
    ),
    "B100": Shipped(
        "ajhalthor/Transformer-Neural-Network",
        "merge heads without permute (video course code)",
        "https://github.com/ajhalthor/Transformer-Neural-Network/pull/4",
    ),
    "B101": Shipped(
        "Transformer-Various-Positional-Encoding",
        "reshape_to_concat fed (H,B,..) instead of (B,H,..): batch elements mixed",
        "https://github.com/gazelle93/Transformer-Various-Positional-Encoding/issues/1",
    ),
    "B104": Shipped(
        "kornia",
        "MultiHeadAttention is a single head",
        "https://github.com/kornia/kornia/issues/2186",
    ),
    "B106": Shipped(
        "AEMatter",
        "AEMatter feeds batch-first tensors to batch_first=False module: attends over batch",
        "https://github.com/aipixel/AEMatter/issues/3",
    ),
    "B107": Shipped(
        "GPT-NeoX ports / Megatron-NeMo Eagle3",
        "fused qkv interleaved per head vs blocked [Q|K|V]",
        "https://github.com/NVIDIA-NeMo/RL/pull/2802",
    ),
    "B109": Shipped(
        "yflyzhang/AnnotatedTransformer",
        "value projected with k_proj",
        "https://github.com/yflyzhang/AnnotatedTransformer/issues/1",
    ),
    "B110": Shipped(
        "Deep Learning with Python notebook ch15",
        "scores/outputs computed from raw inputs instead of projected K,V",
        "https://github.com/fchollet/deep-learning-with-python-notebooks/issues/267",
    ),
    "B112": Shipped(
        "keras-multi-head",
        "ReLU on Q/K/V projections (default activation)",
        "https://github.com/CyberZHG/keras-multi-head/issues/8",
    ),
    "B113": Shipped(
        "p4-dkt",
        "nn.MHA fed already-projected q,k,v (double projection)",
        "https://github.com/bcaitech1/p4-dkt-no_caffeine_no_gain/issues/75",
    ),
    "B115": Shipped(
        "fairseq",
        "need_head_weights ignored on the F.mha path",
        "https://github.com/facebookresearch/fairseq/issues/3365",
    ),
    "B118": Shipped(
        "pytorch nn.MultiheadAttention",
        "xavier on packed (3E,E) in_proj gives std sqrt(2) too small",
        "https://github.com/pytorch/pytorch/issues/166378",
    ),
    "B119": Shipped(
        "pytorch nn.MultiheadAttention",
        "out_proj.weight not explicitly initialised",
        "https://github.com/pytorch/pytorch/issues/57117",
    ),
    "B121": Shipped(
        "xformers",
        "self-attention init ignored q/k/v dims",
        "https://github.com/facebookresearch/xformers/pull/303",
    ),
    "B122": Shipped(
        "timm / nanoGPT",
        "F.sdpa dropout active in eval",
        "https://github.com/huggingface/pytorch-image-models/pull/1978",
    ),
    "B124": Shipped(
        "torchtune",
        "F.sdpa dropout active in eval (torchtune; docstring promises otherwise)",
        "https://github.com/meta-pytorch/torchtune/issues/1791",
    ),
    "B125": Shipped(
        "equinox",
        "deterministic=True ignored",
        "https://github.com/patrick-kidger/equinox/issues/287",
    ),
    "B130": Shipped(
        "nki-samples",
        "dropout applied before softmax normaliser (row all dropped -> NaN)",
        "https://github.com/aws-neuron/nki-samples/pull/80",
    ),
    "B131": Shipped(
        "flax linen/nnx",
        "broadcast dropout: identical dropout mask for every head and batch element by default",
        "https://github.com/google/flax/pull/3384",
    ),
    "B136": Shipped(
        "pytorch TransformerEncoder",
        "src_key_padding_mask eval output constant",
        "https://github.com/pytorch/pytorch/issues/86120",
    ),
    "B137": Shipped(
        "mlx",
        "MLX sinks: S=1 and S=N kernels differ",
        "https://github.com/ml-explore/mlx/issues/3452",
    ),
    "B142": Shipped(
        "ffpa-attn",
        "causal cross-attention backward uses square alignment",
        "https://github.com/xlite-dev/ffpa-attn/pull/300",
    ),
    "B145": Shipped(
        "xformers",
        "memory-efficient attention: bias grad unsupported / broadcast",
        "https://github.com/facebookresearch/xformers/issues/783",
    ),
    "B146": Shipped(
        "pytorch SDPA cuDNN",
        "cuDNN bwd NaN dQ for L%128==64 with mask and lse < -88",
        "https://github.com/pytorch/pytorch/issues/196678",
    ),
    "B148": Shipped(
        "pytorch flex",
        "compiled flex_attention wrong grads for k/v",
        "https://github.com/pytorch/pytorch/issues/158212",
    ),
    "B149": Shipped(
        "flash-attention",
        "dq_accum offset int overflow at large batch",
        "https://github.com/Dao-AILab/flash-attention/pull/1500",
    ),
    "B151": Shipped(
        "pytorch SDPA CUDA",
        "mem-efficient SDPA garbage for non-contiguous inputs",
        "https://github.com/pytorch/pytorch/issues/112577",
    ),
    "B152": Shipped(
        "torch-spyre",
        "SDPA wrong on non-contiguous views",
        "https://github.com/torch-spyre/torch-spyre/issues/4331",
    ),
    "B154": Shipped(
        "pytorch SDPA efficient",
        "seq > 65536 silently wrong",
        "https://github.com/pytorch/pytorch/issues/162588",
    ),
    "B155": Shipped(
        "mlx",
        "bool mask > 2^31 elements",
        "https://github.com/ml-explore/mlx/issues/2894",
    ),
    "B157": Shipped(
        "pytorch SDPA CPU",
        "CPU flash: FPE on empty tensor",
        "https://github.com/pytorch/pytorch/issues/141219",
    ),
    "B169": Shipped(
        "pytorch MHA",
        "kdim/vdim assertion blocks documented use",
        "https://github.com/pytorch/pytorch/issues/27623",
    ),
    "B172": Shipped(
        "keras 3",
        "No seed argument: dropout not reproducible",
        "https://github.com/keras-team/keras/issues/19688",
    ),
    "B173": Shipped(
        "attention-gym",
        "ALiBi sign flipped",
        "https://github.com/meta-pytorch/attention-gym/pull/86",
    ),
}
