builtins.toJSON {
  machine.disks = [ "sda" { size = throw "not measured"; } ];
}
