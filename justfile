# Recipes for daily work; `just` lists them.

default:
    @just --list

build:
    cargo build

test:
    cargo test --workspace

# The engine alone, without polars and ONNX Runtime
test-engine:
    cargo test --no-default-features

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Contracts under stages/ and pages under docs/kinds/, from the Rust parameter structs
contracts:
    cargo run -- kinds --write .

digits:
    cargo run -- run pipelines/digits.yaml
