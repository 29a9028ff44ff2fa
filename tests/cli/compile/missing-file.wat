;; RUN(1): compile no-such-file.wasm
;; RUN(1): run no-such-file.wasm
;; RUN(1): inspect no-such-file.wasm
;; RUN(1): wast no-such-file.wast
