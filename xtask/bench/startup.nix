# a process that evaluates 1
1
