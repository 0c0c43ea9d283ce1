# The builder of packages that bring none of their own: all phases, in order.
genericBuild
