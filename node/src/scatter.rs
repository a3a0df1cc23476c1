//! Asking every owner that can hold an answer.
