// A zone whose clocks change, before anything has asked which one it is. Import it first.
process.env.TZ = "Europe/Berlin";
