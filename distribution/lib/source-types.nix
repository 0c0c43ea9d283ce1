# Where the code in a package comes from, for `meta.sourceProvenance`.
{ lib }:
builtins.mapAttrs (shortName: isSource: { inherit shortName isSource; }) {
  fromSource = true;
  obfuscatedCode = true;
  binaryNativeCode = false;
  binaryBytecode = false;
  binaryFirmware = false;
}
