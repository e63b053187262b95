"""What evolved: scores with controls and intervals, and the pictures of them."""
