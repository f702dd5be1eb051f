import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from headcheck.cli.config import command
from headcheck.reference.configuration import Configuration, advice, nearest_divisors, refusal, stages
from headcheck.reference.configuration_fields import UnreadableConfigurationError, read


def run(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)))


def described(*arguments):
    return json.loads(run(*arguments, "--format", "json").stdout)


def test_the_worked_example_has_the_articles_shapes():
    shapes = [stage.shape for stage in stages(Configuration(512, 8, batch=32, seq_len=10))]
    assert shapes == [
        (32, 10, 512),
        (32, 8, 10, 64),
        (32, 8, 10, 10),
        (32, 8, 10, 10),
        (32, 8, 10, 64),
        (32, 10, 512),
        (32, 10, 512),
    ]


def test_queries_and_keys_of_different_lengths_have_lines_of_their_own():
    by_name = {stage.name: stage.shape for stage in stages(Configuration(64, 4, 2, 10, 7))}
    assert by_name["projected Q"] == (2, 10, 64)
    assert by_name["projected K, V"] == (2, 7, 64)
    assert by_name["split K, V"] == (2, 4, 7, 16)
    assert by_name["scores"] == (2, 4, 10, 7)
    assert by_name["output"] == (2, 10, 64)


def test_shared_keys_and_values_are_narrower():
    by_name = {stage.name: stage.shape for stage in stages(Configuration(64, 8, 2, 10, num_kv_heads=2))}
    assert by_name["projected K, V"] == (2, 10, 16)
    assert by_name["split K, V"] == (2, 2, 10, 8)
    assert by_name["context"] == (2, 8, 10, 8)


@pytest.mark.parametrize(
    ("d", "h", "said"),
    [
        (512, 7, "512 / 7 leaves 1"),
        (512, 7, "4, 8"),
        (10, 0, "positive"),
        (0, 2, "positive"),
        (4, 8, "leaves 4"),
    ],
)
def test_the_refusal_names_both_sizes(d, h, said):
    assert said in refusal(Configuration(d, h))
    assert str(d) in refusal(Configuration(d, h))


def test_what_divides_is_not_refused():
    assert not any(refusal(Configuration(12, h)) for h in (1, 2, 3, 4, 6, 12))
    assert nearest_divisors(12, 5) == (4, 6)
    assert nearest_divisors(4, 8) == (4,)


@pytest.mark.parametrize(
    ("d", "h", "said", "counts"),
    [
        (512, 8, "within", (4, 8)),
        (1024, 16, "within", (8, 16)),
        (512, 16, "narrower", (4, 8)),
        (1024, 4, "wider", (8, 16)),
        (64, 4, "no advice below", (1,)),
        (514, 2, "wider", ()),
    ],
)
def test_the_advice(d, h, said, counts):
    advised = advice(Configuration(d, h))
    assert said in advised.text
    assert advised.head_counts == counts


def test_the_command_prints_pipeline_and_cost():
    result = run("--d-model", 512, "--num-heads", 8)
    assert result.exit_code == 0
    assert "(32, 8, 10, 64)" in result.stdout
    assert "21,176,320" in result.stdout
    assert "169,410,560" in result.stdout


def test_the_three_forms_agree():
    known = described("--d-model", 512, "--num-heads", 8)
    assert known["costs"][1]["operations"] == 21_176_320
    assert known["costs"][1]["weight_matrix_bytes"]["float32"] == 32 * 8 * 10 * 10 * 4
    markdown = run("--d-model", 512, "--num-heads", 8, "--format", "markdown").stdout
    assert "| scores | Q K^T / sqrt(d_k) | (32, 8, 10, 10) | (B, h, n_q, n_k) |" in markdown


def test_a_refused_configuration_ends_with_status_1():
    result = run("--d-model", 512, "--num-heads", 7)
    assert (result.exit_code, "DIV-REFUSE" in result.stdout) == (1, True)
    assert described("--d-model", 512, "--num-heads", 7)["refused"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--num-heads", 8),
        ("--d-model", "wide", "--num-heads", 8),
        ("--nonsense",),
        ("--seq-len", 0),
        ("--from", "no"),
    ],
)
def test_misuse_is_one_line_and_status_4(arguments):
    result = run(*arguments)
    assert result.exit_code == 4
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") <= 2
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("document", "sizes"),
    [
        ({"hidden_size": 768, "num_attention_heads": 12}, (768, 12, None)),
        ({"n_embd": 768, "n_head": 12, "n_inner": None}, (768, 12, None)),
        ({"d_model": 1024, "n_heads": 16, "attn_config": {"kv_n_heads": 4}}, (1024, 16, 4)),
        ({"dim": 4096, "n_heads": 32, "n_kv_heads": 8, "hidden_dim": 14336}, (4096, 32, 8)),
        ({"dim": 768, "n_heads": 12, "hidden_dim": 3072}, (768, 12, None)),
        ({"embed_dim": 192, "num_heads": 3}, (192, 3, None)),
        ({"d_model": 512, "encoder_attention_heads": 8, "decoder_attention_heads": 8}, (512, 8, None)),
        ({"hidden_size": 96, "num_attention_heads": 3, "num_kv_heads": 3, "multi_query": True}, (96, 3, 1)),
        (
            {"hidden_size": 8192, "num_attention_heads": 128, "num_kv_heads": 8, "multi_query": True,
             "new_decoder_architecture": True},
            (8192, 128, 8),
        ),
        (
            {"hidden_size": 4096, "num_attention_heads": 32, "multi_query_attention": True,
             "multi_query_group_num": 2},
            (4096, 32, 2),
        ),
        ({"text_config": {"hidden_size": 64, "num_attention_heads": 4}, "hidden_size": 9}, (64, 4, None)),
    ],
)  # fmt: skip
def test_field_names_in_common_use(document, sizes):
    found = read(document)
    assert (found.d_model, found.num_heads, found.num_kv_heads) == sizes


def test_what_is_not_covered_is_named():
    document = {
        "text_config": {
            "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8,
            "head_dim": 128, "kv_lora_rank": 512,
        },
        "vision_config": {"hidden_size": 64, "num_heads": 2},
    }  # fmt: skip
    said = "\n".join(read(document).not_covered)
    for words in ("grouped-query", "text_config.head_dim = 128", "latent", "vision_config"):
        assert words in said


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"hidden_size": 8}, "number of heads"),
        ({}, "none"),
        ([1], "JSON object"),
        ({"hidden_size": "8", "num_heads": 2}, "'8'"),
        ({"hidden_size": 8, "num_heads": True}, "True"),
    ],
)
def test_what_cannot_be_read_is_said(document, said):
    with pytest.raises(UnreadableConfigurationError, match=said):
        read(document)


def test_sizes_come_from_a_file_and_the_command_line_stands_over_it(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"text_config": {"hidden_size": 768, "num_attention_heads": 12}}))
    known = described("--from", file)
    assert (known["d_model"], known["num_heads"]) == (768, 12)
    assert known["read_from"]["d_model"] == "text_config.hidden_size"
    assert described("--from", file, "--num-heads", 6)["num_heads"] == 6
    file.write_text("{")
    assert "not JSON" in run("--from", file).stderr


def test_it_needs_neither_numpy_nor_a_framework():
    program = (
        "import sys; from headcheck.cli.config import command;"
        "command(['--d-model', '512', '--num-heads', '8'], standalone_mode=False);"
        "assert not {'numpy', 'torch', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("document", "d_model", "num_heads", "said"),
    [
        ({"dim": 512, "heads": 8, "dim_head": 64}, 512, 8, ""),
        ({"dim": 512, "heads": 8, "dim_head": 32}, 512, 8, "dim_head = 32"),
        ({"model": {"hidden_size": 96, "num_attention_heads": 6}}, 96, 6, ""),
        ({"a": {"text_config": {"hidden_size": 96, "num_attention_heads": 6}}}, 96, 6, ""),
        (
            {"d_model": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 8},
            64,
            4,
            "the decoder has decoder_attention_heads = 8",
        ),
        ({"d_model": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 4}, 64, 4, ""),
    ],
)
def test_more_names_in_use_are_read_and_what_differs_is_named(document, d_model, num_heads, said):
    fields = read(document)
    assert (fields.d_model, fields.num_heads) == (d_model, num_heads)
    assert bool(fields.not_covered) == bool(said)
    assert said in " ".join(fields.not_covered)


def test_a_file_with_a_byte_order_mark_is_read_and_a_bottomless_one_refused(tmp_path):
    file = tmp_path / "config.json"
    file.write_bytes(b'\xef\xbb\xbf{"hidden_size": 64, "num_attention_heads": 4}')
    assert CliRunner().invoke(command, ["--from", str(file)]).exit_code == 0
    file.write_text("[" * 100_000)
    refused = CliRunner().invoke(command, ["--from", str(file)])
    assert refused.exit_code == 4
    assert "not JSON" in refused.stderr


def test_a_refused_one_says_too_what_is_not_covered(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"d_model": 512, "num_heads": 6, "d_kv": 64}')
    refused = CliRunner().invoke(command, ["--from", str(file)])
    assert refused.exit_code == 1
    assert "heads of a width of their own (d_kv = 64)" in refused.stdout
