;; FILE: empty.wasm
;; RUN(1): compile %tmp/empty.wasm
;; RUN(1): run %tmp/empty.wasm
;; RUN(1): inspect %tmp/empty.wasm
;; LEAVES: empty.wasm
