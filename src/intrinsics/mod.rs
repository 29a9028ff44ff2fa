//! Unsafe intrinsics: native loads and stores for compile-time builtins.
