"""What a batch of predicted rows says: how much of it takes which side, when and where, and how sure that is."""
