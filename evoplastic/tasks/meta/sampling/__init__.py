"""Meta-tasks drawn at random: candidates, what makes two the same, and those that come with a certificate."""
