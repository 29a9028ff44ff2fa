;; RUN: wast --filter filter .
;; RUN(1): wast --filter no-such-script .
(module (func (export "f")))
(assert_return (invoke "f"))
