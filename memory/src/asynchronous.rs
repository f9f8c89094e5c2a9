//! Requests out of asynchronous code.

use connectome_systems::algorithms::LabeledGraph;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};

use crate::error::MemoryError;
use crate::find::{Answer, Query};
use crate::memory::{Change, NewGraph};
use crate::service::{MemoryHandle, MemoryService, Reply, Request};

/// Asks a memory out of tasks of tokio, of any runtime.
///
/// The answers are those of the memory itself. At most as many requests as its queue has room for are on their way; tasks
/// that ask beyond that wait, in order. A task that is dropped while it waits for an answer may have changed the memory.
///
/// ```
/// use connectome_memory::{AsyncGraphMemory, GraphMemory, MemoryService, Query};
/// use connectome_systems::algorithms::LabeledGraph;
///
/// let folder = tempfile::tempdir()?;
/// let service = MemoryService::start(GraphMemory::create(&folder.path().join("memory"))?, 64, true)?;
/// let memory = AsyncGraphMemory::new(&service);
/// tokio::runtime::Builder::new_multi_thread().build()?.block_on(async {
///     let graph = LabeledGraph::new(vec![1, 2], [([0, 1], 0)]);
///     let ids = memory.put(vec![graph.clone().into()]).await?.ids;
///     assert_eq!(memory.find(graph, Query::default()).await?.matches[0].id, ids[0]);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// assert_eq!(service.close()?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AsyncGraphMemory {
    handle: MemoryHandle,
    /// One for each request that the queue has room for.
    permits: Arc<Semaphore>,
}

impl AsyncGraphMemory {
    /// Asks the memory of a service. Clone it to ask out of several tasks: another one would not know of their requests,
    /// and could find the queue full.
    pub fn new(service: &MemoryService) -> Self {
        let handle = service.handle();
        let permits = Arc::new(Semaphore::new(handle.capacity().min(Semaphore::MAX_PERMITS)));
        Self { handle, permits }
    }

    /// [Stores graphs](crate::GraphMemory::put_many), in one transaction, which other graphs may be part of.
    ///
    /// # Errors
    /// As there, or if the memory is closed.
    pub async fn put(&self, graphs: Vec<NewGraph>) -> Result<Change, MemoryError> {
        self.ask(|reply| Request::Put(graphs, reply)).await
    }

    /// Finds the [most similar graphs](crate::GraphMemory::find).
    ///
    /// # Errors
    /// As there, or if the memory is closed.
    pub async fn find(&self, graph: LabeledGraph, query: Query) -> Result<Answer, MemoryError> {
        self.ask(|reply| Request::Find(Box::new((graph, query)), reply)).await
    }

    /// Finds [copies](crate::GraphMemory::find_copies).
    ///
    /// # Errors
    /// As there, or if the memory is closed.
    pub async fn find_copies(&self, graph: LabeledGraph) -> Result<Vec<u64>, MemoryError> {
        self.ask(|reply| Request::FindCopies(graph, reply)).await
    }

    /// [Counts a use](crate::GraphMemory::mark_used) of graphs.
    ///
    /// # Errors
    /// As there, or if the memory is closed.
    pub async fn mark_used(&self, ids: Vec<u64>) -> Result<Change, MemoryError> {
        self.ask(|reply| Request::MarkUsed(ids, reply)).await
    }

    /// [Forgets](crate::GraphMemory::forget) graphs.
    ///
    /// # Errors
    /// As there, or if the memory is closed.
    pub async fn forget(&self, ids: Vec<u64>) -> Result<Change, MemoryError> {
        self.ask(|reply| Request::Forget(ids, reply)).await
    }

    async fn ask<T: Send + 'static>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, MemoryError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| MemoryError::Closed)?;
        let (sender, receiver) = oneshot::channel();
        let reply = Box::new(move |answer| {
            drop(permit);
            // If nobody waits for the answer any more, it is dropped.
            _ = sender.send(answer);
        });
        self.handle.try_send(request(reply))?;
        receiver.await.map_err(|_| MemoryError::Closed)?
    }
}
