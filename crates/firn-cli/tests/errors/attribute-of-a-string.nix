let
  machine = { disk = "sda"; };
in
machine.disk.size
