"""The labelling loop: suggest what to label, label it, take the labels in, adjudicate, review."""
