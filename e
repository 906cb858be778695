usage: ci/check.py COMMAND [--strict] [--fuzz-seconds N] [--minutes N]
ci/check.py: error: argument command: invalid choice: 'nosuch' (choose from 'quick', 'test', 'nightly', 'tidy', 'mutants', 'corpus', 'docs')
