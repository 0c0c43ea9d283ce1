abort "cannot go on"
