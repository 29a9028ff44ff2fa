;; FILE: input.wasm \00asm\01\00\00\00\0a\01\01
;; RUN(1): compile %tmp/input.wasm
;; RUN(1): run %tmp/input.wasm
;; RUN(1): inspect %tmp/input.wasm
;; LEAVES: input.wasm
