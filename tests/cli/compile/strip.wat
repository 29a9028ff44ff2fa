;; RUN: compile --stats % -o %tmp/app.elf
;; RUN: compile --stats --strip % -o %tmp/app.elf
;; RUN(134): run --precompiled --invoke 'f()' %tmp/app.elf
(module
  (@custom ".debug_info" "1234567890")
  (@custom ".debug_line" "12345")
  ;; Nothing reads these of an artifact.
  (@custom ".debug_loc" "1234567890")
  (@custom ".debug_pubnames" "1234567890")
  (@custom "other" "1234567890")
  (func (export "f") unreachable))
