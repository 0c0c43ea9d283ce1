# The build environment, last part: everything above is defined; now the inputs' hooks may run, then the user's own.

for _name in ${defaultBuildInputs:-}; do appendToVar buildInputs "$_name"; done
unset _name
_setupEnvironment
export NIX_INDENT_MAKE=1
export SHELL=${shell:-$SHELL}
export CONFIG_SHELL=$SHELL
runHook postHook
runHook userHook
