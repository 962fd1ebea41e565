# Each target is a script that can be run by hand; `make run` and `make test` are all that a newcomer needs.
.PHONY: test-build help run test check docs test-soak test-referee test-real-driver fuzz lock clean

help:
	@echo "make run        set everything up in .venv and talk to a small model"
	@echo "make test       set up what the tests need; checks and tests"
	@echo "make check      format, lint, types, architecture, generated docs"
	@echo "make docs       write the generated documentation anew"
	@echo "make test-soak  the long runs of the same tests (under 40 minutes)"
	@echo "make test-referee  plans of all families against the engine's own dry run, with the table"
	@echo "make test-real-driver  NVIDIA's own nvidia-smi and libraries from Debian's non-free component, without a card"
	@echo "make test-build the real llama.cpp built by bringup setup (under 30 minutes)"
	@echo "make fuzz       a minute of coverage-guided fuzzing (needs atheris in .venv-test)"
	@echo "make lock       pin the newest versions of everything, with hashes"
	@echo "make clean      remove the environments and caches in this folder"

run:
	@scripts/run

test:
	@scripts/check
	@scripts/test

check:
	@scripts/check

docs:
	@scripts/docs

test-soak:
	@BRINGUP_SOAK=1 scripts/test

test-referee:
	@BRINGUP_SOAK=1 scripts/test tests/plan/test_referee.py tests/plan/test_every_family.py tests/plan/test_second_device.py tests/plan/test_against_logs.py tests/gpt_oss/test_full_size.py -rP

test-real-driver:
	@scripts/real-driver .cache/real-driver
	@BRINGUP_TEST_REAL_DRIVER=.cache/real-driver scripts/test tests/real_driver

test-build:
	@scripts/test-build

fuzz:
	@scripts/fuzz

lock:
	@scripts/lock --upgrade

clean:
	rm -rf .venv .venv-test .venv-lock .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
