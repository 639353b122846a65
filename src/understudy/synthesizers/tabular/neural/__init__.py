"""What engines that train a network share: purchase, loops with and without a budget, folders."""
