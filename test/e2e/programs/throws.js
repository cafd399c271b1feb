/** A program with a defect. */
throw new Error('the melon is not ripe');
