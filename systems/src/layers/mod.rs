//! stub
mod activation; mod graph_conv; mod linear; mod message_passing;
pub use activation::Activation; pub use graph_conv::GraphConv; pub use linear::Linear; pub use message_passing::MessagePassing;
