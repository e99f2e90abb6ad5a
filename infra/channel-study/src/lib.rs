//! What training on perturbed text gains by knowing the channel that perturbed it.
//!
//! Every run perturbs the training text token by token, trains a LoRA adapter on it without the noise of DP-SGD (the channel
//! alone is studied), and measures perplexity on clean text that it never saw. The learning rate is chosen on validation
//! text with a seed of its own; the test text is looked at once a run.
//!
//! [`corpus`] → [`method`] → [`run`] → [`results`] → [`table`], [`plot`]

pub mod corpus;
pub mod method;
pub mod plot;
pub mod results;
pub mod run;
pub mod table;
