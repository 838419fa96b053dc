"""A page on this machine that enlarges pictures: `npbsrn serve`."""
