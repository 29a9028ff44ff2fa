;; FILE: input.wasm \17\80random\ffbytes
;; RUN(1): compile %tmp/input.wasm
;; RUN(1): run %tmp/input.wasm
;; RUN(1): inspect %tmp/input.wasm
;; LEAVES: input.wasm
