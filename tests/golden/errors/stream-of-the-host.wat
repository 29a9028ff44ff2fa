;; Errors name what is not supported and where it is.
(component
  (type $bytes (stream u8))
  (import "f" (func $f async (param "s" $bytes)))
  (core func $f (canon lower (func $f) async)))
