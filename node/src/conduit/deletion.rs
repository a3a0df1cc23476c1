//! Deleting, as users ask for it.
//!
//! *Invariants*: what is deleted is acknowledged like a put; a dry run says the same and changes
//! nothing; a collection goes last, so that a deletion that was cut off can be done again.
//!
//! *Not here*: tombstones (`replicate`).

use query::Query;
use wire::bundle::Kind;
use wire::collection::CollectionDeleted;
use wire::fault::{Fault, FaultKind};
use wire::hit::Hit;
use wire::ledger::Ledger;
use wire::model::{ModelView, ModelsDeleted, Tag, TagsDeleted};
use wire::params::{DeleteModelsParams, ModelsParams, TagParams};

use super::{Conduit, missing};
use crate::store::ObjectKey;

impl Conduit {
    /// Deletes a collection with its splits and ledgers.
    pub(crate) async fn delete_collection(
        &self,
        name: &str,
        dry_run: bool,
    ) -> Result<CollectionDeleted, Fault> {
        let key = ObjectKey::new(Kind::Collection, name);
        if self.collection(&key).await?.is_none() {
            return Err(missing(&key));
        }
        let query = Query {
            collections: vec![name.to_owned()],
            ..Query::default()
        };
        let (hits, end) = self.hits(query).await?;
        let deleted = CollectionDeleted {
            splits: hits.len() as u64,
            bytes: hits.iter().map(|h| h.bytes).sum(),
            dry_run,
        };
        if dry_run {
            return Ok(deleted);
        }
        if !end.complete {
            let what = format!("not all nodes that hold {name} answer");
            return Err(Fault::new(FaultKind::Partial, what).try_("glebe status"));
        }
        let split = |hit: &Hit| ObjectKey::new(Kind::Split, hit.id.as_str());
        let mut keys: Vec<ObjectKey> = hits.iter().map(split).collect();
        let ledgers = self.ledgers(Some(name)).await?;
        let ledger = |l: &Ledger| ObjectKey::new(Kind::Ledger, format!("{name}/{}", l.scene));
        keys.extend(ledgers.iter().map(ledger));
        keys.push(key);
        self.cluster.delete(&keys).await?;
        Ok(deleted)
    }

    /// Deletes one model, or all of a run.
    pub(crate) async fn delete_models(
        &self,
        asked: &DeleteModelsParams,
    ) -> Result<ModelsDeleted, Fault> {
        let all = self.models(&ModelsParams::default()).await?;
        if !all.complete {
            let what = "not all nodes that may hold models answer";
            return Err(Fault::new(FaultKind::Partial, what).try_("glebe status"));
        }
        let of_cell = |m: &ModelView| asked.geocode.as_ref().is_none_or(|g| m.geocode == *g);
        let mut models = all.models;
        models.retain(|m| m.run == asked.run && of_cell(m));
        if models.is_empty() {
            let cell = asked.geocode.as_deref().unwrap_or("*");
            let what = format!("there is no model {}/{cell}", asked.run);
            return Err(Fault::new(FaultKind::Nothing, what).try_("glebe model list"));
        }
        let id = |m: &ModelView| format!("{}/{}", m.run, m.geocode);
        let keys = models.iter().map(|m| ObjectKey::new(Kind::Model, id(m)));
        if !asked.dry_run {
            self.cluster.delete(&keys.collect::<Vec<_>>()).await?;
        }
        Ok(ModelsDeleted {
            models: models.len() as u64,
            bytes: models.iter().map(|m| m.bytes).sum(),
            dry_run: asked.dry_run,
        })
    }

    /// Takes a tag from one cell's model, or from all cells'; the models stay.
    pub(crate) async fn delete_tags(&self, asked: &TagParams) -> Result<TagsDeleted, Fault> {
        let (mut tags, complete) = self.tags().await?;
        if !complete {
            let what = "not all nodes that may hold tags answer";
            return Err(Fault::new(FaultKind::Partial, what).try_("glebe status"));
        }
        let of_cell = |t: &Tag| asked.geocode.as_ref().is_none_or(|g| t.geocode == *g);
        tags.retain(|t| t.tag == asked.tag && of_cell(t));
        if tags.is_empty() {
            let cell = asked.geocode.as_deref().unwrap_or("any cell");
            let what = format!("no model of {cell} is tagged {}", asked.tag);
            return Err(Fault::new(FaultKind::Nothing, what).try_("glebe model list"));
        }
        let id = |t: &Tag| format!("{}/{}", t.tag, t.geocode);
        let keys = tags.iter().map(|t| ObjectKey::new(Kind::Tag, id(t)));
        self.cluster.delete(&keys.collect::<Vec<_>>()).await?;
        Ok(TagsDeleted {
            cells: tags.len() as u64,
        })
    }
}
