//! Values that are changed under an actor's name, in turns; whoever waits for the same turn is served by one read and
//! one write.

use super::actors::Own;
use super::counter::{Actor, Counter, Increment};
use super::crowd::{Batch, Crowd};
use super::desk::Desk;
use super::field::{By, Field, FieldUpdate, FieldValue};
use super::refusal::Refused;
use super::tagged::Joined;
use super::typed::{Place, TypedObjects};
use crate::error::{Error, Result};
use crate::id::Item;
use crate::version::OperationId;

/// See the module.
pub(super) trait Acted: Joined {
    /// What is done to it.
    type Operation: Send;
    /// What it shows afterwards.
    type Shown: Send;

    /// How far an actor has come here.
    fn version_of(&self, actor: &Actor) -> Option<u64>;

    /// Does it. Answers with how far the actor has come, and what is shown now.
    ///
    /// # Errors
    /// [`Refused`]: the value is as it was.
    fn act(
        &mut self,
        operation: Self::Operation,
        actor: Actor,
        now: u64,
    ) -> Result<(u64, Self::Shown), Refused>;

    /// Who waits.
    fn crowd(desk: &Desk) -> &Crowd<Self::Operation, Self::Shown>;
}

/// Something to be done, and its name if it may come again.
pub(super) type Named<T> = (T, Option<OperationId>);

impl Acted for Counter {
    type Operation = Named<i64>;
    type Shown = i64;

    fn version_of(&self, actor: &Actor) -> Option<u64> {
        self.version(actor)
    }

    fn act(
        &mut self,
        (by, operation): Named<i64>,
        actor: Actor,
        now: u64,
    ) -> Result<(u64, i64), Refused> {
        let version = self.add(actor, Increment { by, operation, now })?;
        Ok((version, self.clamped()))
    }

    fn crowd(desk: &Desk) -> &Crowd<Named<i64>, i64> {
        &desk.counters
    }
}

impl Acted for Field {
    type Operation = Named<FieldUpdate>;
    type Shown = Option<FieldValue>;

    fn version_of(&self, actor: &Actor) -> Option<u64> {
        self.version(actor)
    }

    fn act(
        &mut self,
        (update, operation): Named<FieldUpdate>,
        actor: Actor,
        now: u64,
    ) -> Result<(u64, Option<FieldValue>), Refused> {
        let version = self.update(update, By { actor, operation, now })?;
        // It is done; that what others counted at once does not fit is told to whoever reads it.
        Ok((version, self.value().unwrap_or_default()))
    }

    fn crowd(desk: &Desk) -> &Crowd<Named<FieldUpdate>, Option<FieldValue>> {
        &desk.fields
    }
}

impl<O: TypedObjects> Place<O> {
    /// Does it, in its turn, which may be another's.
    ///
    /// # Errors
    /// What a read and a write may end with; [`Refused`]; [`Error::Overloaded`]: too many wait.
    pub(super) async fn act<V: Acted>(
        &self,
        item: Item,
        operation: V::Operation,
    ) -> Result<V::Shown> {
        let mut ticket = V::crowd(self.desk()).join(item.clone(), (self.r, self.w), operation)?;
        let _turn = self.desk().turn(&item).await;
        if let Some(answer) = ticket.answer() {
            return answer;
        }
        self.act_for::<V>(item, ticket.all()).await;
        // Ours was among them.
        let nothing = || Err(Error::Internal("an operation that waited was left out".into()));
        ticket.answer().unwrap_or_else(nothing)
    }

    async fn act_for<V: Acted>(&self, item: Item, batch: Batch<'_, V::Operation, V::Shown>) {
        let read = async {
            self.ensure().await?;
            self.read::<V>(&item).await
        };
        let (value, context) = match read.await {
            Ok((value, context)) => (value.unwrap_or_default(), context),
            Err(error) => return batch.begin().1.fail(&error),
        };
        // From here until it is stored, nobody else has the actor; and if nobody waits for that, nobody ever will.
        let before = self.desk().take(&item);
        let actor = Own::go_on(before, |actor| value.version_of(actor), || self.fresh());
        let (operations, answers) = batch.begin();
        let (value, version, shown) = one_after_the_other(value, operations, actor, self.now());
        let Some(version) = version else {
            // All were refused: nobody counted.
            if let Some(own) = before {
                self.desk().give(item, own);
            }
            return answers.tell(shown);
        };
        match self.write(&item, Some(value.to_bytes()), context).await {
            Ok(()) => {
                self.desk().give(item, Own { actor, version });
                answers.tell(shown);
            }
            // Also those that were refused because of what is not there now.
            Err(error) => {
                self.desk().give_back(item, before, &error);
                answers.fail(&error);
            }
        }
    }
}

/// The value after all of them, how far the actor has come if it did anything, and what each of them is told.
fn one_after_the_other<V: Acted>(
    mut value: V,
    operations: Vec<V::Operation>,
    actor: Actor,
    now: u64,
) -> (V, Option<u64>, Vec<Result<V::Shown>>) {
    let mut last = None;
    let each = operations.into_iter().map(|operation| -> Result<V::Shown> {
        let (version, shown) = value.act(operation, actor, now)?;
        last = Some(version);
        Ok(shown)
    });
    let shown = each.collect();
    (value, last, shown)
}
