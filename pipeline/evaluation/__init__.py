"""Why a model is good or bad: the only reader of the test part."""
