//! A thread of its own for a memory, so that nobody else waits for the disk.

use connectome_systems::algorithms::LabeledGraph;
use std::{
    sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    thread::{self, JoinHandle},
};

use crate::error::MemoryError;
use crate::find::{Answer, Query};
use crate::memory::{Change, GraphMemory, NewGraph};
use crate::prepared::Prepared;

/// The graphs that are stored in one transaction at most.
const MAX_GROUP: usize = 4096;

/// The graphs that a step of consolidation examines, between two requests.
const CONSOLIDATED: usize = 64;

/// What is done with an answer, on the thread of the memory.
pub(crate) type Reply<T> = Box<dyn FnOnce(Result<T, MemoryError>) + Send>;

/// What a memory is asked to do.
pub(crate) enum Request {
    Put(Vec<NewGraph>, Reply<Change>),
    Find(Box<(LabeledGraph, Query)>, Reply<Answer>),
    FindCopies(LabeledGraph, Reply<Vec<u64>>),
    MarkUsed(Vec<u64>, Reply<Change>),
    Forget(Vec<u64>, Reply<Change>),
    Close,
}

/// A memory on a thread of its own, with a bounded queue of requests.
///
/// Requests are answered in the order in which they arrive, each as the memory itself would at that
/// [version](GraphMemory::version). Graphs to be stored that wait one after another are stored in one durable transaction;
/// their answers come once it is on disk. While nothing waits, copies are [merged](GraphMemory::consolidate) step by step,
/// if that is wanted.
///
/// [`close`](Self::close) gives the memory back. A service that is dropped goes on until the last handle is dropped, too;
/// until then its file is in use.
pub struct MemoryService {
    handle: MemoryHandle,
    thread: JoinHandle<GraphMemory>,
}

impl MemoryService {
    /// Starts the thread. Its queue has room for `capacity` requests, at least 1.
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
    pub fn start(memory: GraphMemory, capacity: usize, consolidates: bool) -> Result<Self, MemoryError> {
        let path = memory.path().to_owned();
        let capacity = capacity.max(1);
        let (sender, receiver) = sync_channel(capacity);
        let run = move || serve(memory, &receiver, consolidates);
        let thread = thread::Builder::new().name("connectome memory".into()).spawn(run);
        let thread = thread.map_err(|error| MemoryError::Storage { path, reason: error.to_string() })?;
        Ok(Self { handle: MemoryHandle { sender, capacity }, thread })
    }

    /// A handle to ask the memory by; there may be any number.
    pub fn handle(&self) -> MemoryHandle {
        self.handle.clone()
    }

    /// Answers what waits, and returns the memory. Requests that are sent later fail.
    ///
    /// # Errors
    /// If the thread has panicked.
    pub fn close(self) -> Result<GraphMemory, MemoryError> {
        // If the thread has ended, nobody receives this, and joining tells.
        let _ = self.handle.sender.send(Request::Close);
        self.thread.join().map_err(|_| MemoryError::Closed)
    }
}

/// Asks a memory without waiting.
#[derive(Clone)]
pub struct MemoryHandle {
    sender: SyncSender<Request>,
    capacity: usize,
}

/// An answer that will come.
pub struct Pending<T>(Receiver<Result<T, MemoryError>>);

impl<T> Pending<T> {
    /// The answer, if it has come. It is taken: asked again, the memory seems closed.
    pub fn try_take(&self) -> Option<Result<T, MemoryError>> {
        match self.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(MemoryError::Closed)),
        }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// That of the request, or if the memory is closed first.
    pub fn wait(self) -> Result<T, MemoryError> {
        self.0.recv().map_err(|_| MemoryError::Closed)?
    }
}

impl MemoryHandle {
    /// The number of requests that the queue has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Asks to [store graphs](GraphMemory::put_many), in one transaction, which other graphs may be part of.
    ///
    /// # Errors
    /// If the queue is full, or the memory is closed.
    pub fn put(&self, graphs: Vec<NewGraph>) -> Result<Pending<Change>, MemoryError> {
        self.ask(|reply| Request::Put(graphs, reply))
    }

    /// Asks for the [most similar graphs](GraphMemory::find).
    ///
    /// # Errors
    /// If the queue is full, or the memory is closed.
    pub fn find(&self, graph: LabeledGraph, query: Query) -> Result<Pending<Answer>, MemoryError> {
        self.ask(|reply| Request::Find(Box::new((graph, query)), reply))
    }

    /// Asks for [copies](GraphMemory::find_copies).
    ///
    /// # Errors
    /// If the queue is full, or the memory is closed.
    pub fn find_copies(&self, graph: LabeledGraph) -> Result<Pending<Vec<u64>>, MemoryError> {
        self.ask(|reply| Request::FindCopies(graph, reply))
    }

    /// Asks to [count a use](GraphMemory::mark_used) of graphs.
    ///
    /// # Errors
    /// If the queue is full, or the memory is closed.
    pub fn mark_used(&self, ids: Vec<u64>) -> Result<Pending<Change>, MemoryError> {
        self.ask(|reply| Request::MarkUsed(ids, reply))
    }

    /// Asks to [forget](GraphMemory::forget) graphs.
    ///
    /// # Errors
    /// If the queue is full, or the memory is closed.
    pub fn forget(&self, ids: Vec<u64>) -> Result<Pending<Change>, MemoryError> {
        self.ask(|reply| Request::Forget(ids, reply))
    }

    fn ask<T: Send + 'static>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<Pending<T>, MemoryError> {
        let (sender, receiver) = sync_channel(1);
        // If nobody waits for the answer any more, it is dropped.
        let reply = Box::new(move |answer| _ = sender.try_send(answer));
        self.try_send(request(reply))?;
        Ok(Pending(receiver))
    }

    pub(crate) fn try_send(&self, request: Request) -> Result<(), MemoryError> {
        self.sender.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => MemoryError::Busy,
            TrySendError::Disconnected(_) => MemoryError::Closed,
        })
    }
}

/// Answers requests until the memory is closed or nobody can ask any more.
fn serve(mut memory: GraphMemory, receiver: &Receiver<Request>, consolidates: bool) -> GraphMemory {
    let mut has_pending = consolidates;
    // A request that came after graphs to be stored.
    let mut next = None;
    loop {
        let request = match next.take().map_or_else(|| receiver.try_recv(), Ok) {
            Ok(request) => request,
            Err(TryRecvError::Empty) if has_pending => {
                // If the disk fails, later requests report the error.
                has_pending = memory.consolidate(CONSOLIDATED).is_ok_and(|step| step.remaining > 0);
                continue;
            }
            Err(TryRecvError::Empty) => match receiver.recv() {
                Ok(request) => request,
                Err(_) => return memory,
            },
            Err(TryRecvError::Disconnected) => return memory,
        };
        match request {
            Request::Put(graphs, reply) => {
                has_pending = consolidates;
                next = put(&mut memory, vec![(graphs, reply)], receiver);
            }
            Request::Find(asked, reply) => reply(memory.find(&asked.0, &asked.1)),
            Request::FindCopies(graph, reply) => reply(memory.find_copies(&graph)),
            Request::MarkUsed(ids, reply) => reply(memory.mark_used(&ids)),
            Request::Forget(ids, reply) => reply(memory.forget(&ids)),
            Request::Close => return memory,
        }
    }
}

/// Stores graphs, and those of the requests that wait behind, in one transaction; returns the first other request.
fn put(
    memory: &mut GraphMemory,
    mut requests: Vec<(Vec<NewGraph>, Reply<Change>)>,
    receiver: &Receiver<Request>,
) -> Option<Request> {
    let mut count = requests.iter().map(|(graphs, _)| graphs.len()).sum::<usize>();
    let mut next = None;
    while count < MAX_GROUP && next.is_none() {
        match receiver.try_recv() {
            Ok(Request::Put(graphs, reply)) => {
                count += graphs.len();
                requests.push((graphs, reply));
            }
            Ok(other) => next = Some(other),
            Err(_) => break,
        }
    }
    let (mut prepared, mut accepted, mut given) = (Vec::new(), Vec::new(), memory.has_given_vectors());
    for (graphs, reply) in requests {
        let new = memory.workers.map(graphs.len(), |index| Prepared::new(&graphs[index]));
        // A graph that is refused concerns its own request alone.
        let new = new.into_iter().collect::<Result<Vec<Prepared>, MemoryError>>();
        match new.and_then(|new| Ok((Prepared::check_vectors(&new, given)?, new))) {
            Ok((same, new)) => {
                given = same;
                accepted.push((new.len(), reply));
                prepared.extend(new);
            }
            Err(error) => reply(Err(error)),
        }
    }
    match memory.put_prepared(prepared) {
        Ok(Change { version, ids, forgotten }) => {
            let mut rest = &ids[..];
            for (count, reply) in accepted {
                let (own, others) = rest.split_at(count);
                rest = others;
                reply(Ok(Change { version, ids: own.to_vec(), forgotten: forgotten.clone() }));
            }
        }
        Err(error) => accepted.into_iter().for_each(|(_, reply)| reply(Err(error.clone()))),
    }
    next
}
