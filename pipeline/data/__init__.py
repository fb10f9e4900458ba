"""Articles, sentences, annotations and their split: from files to one data set."""
