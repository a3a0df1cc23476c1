//! Mean textures of this node's cells.
//!
//! *Invariants*: only splits that are whole and clear count (DESIGN §8), so that neither the edge
//! of a scene nor a cloud is taken for ground; where nothing judged the sky, it is taken for clear.
//!
//! *Not here*: putting nodes together (`cluster::regions`), grouping (`query::groups`).

use std::collections::BTreeMap;
use std::sync::Arc;

use earth::split::meta::SplitMeta;
use query::index::Turn;
use query::page::Order;
use query::predicate::Predicate;
use wire::fault::{Fault, FaultKind};
use wire::region::CellTexture;

use super::working;
use crate::cluster::core::Core;
use crate::peer::Question;
use crate::store::{Store, StoreError};

/// Least share of valid pixels of a split that counts (DESIGN §8).
const COVERAGE_MIN: f64 = 0.95;
/// Greatest share of cloud of a split that counts (DESIGN §8).
const CLOUD_MAX: f64 = 0.1;
/// Splits read at a time.
const PAGE_ROWS: usize = 1_024;
/// Most cells in an answer: some 200 bytes each, in one message.
pub(crate) const CELLS_MAX: usize = 16_384;

/// Averages the textures of all that matches, cell by cell.
pub(super) async fn textures(
    core: &Arc<Core>,
    question: Question,
) -> Result<Vec<CellTexture>, Fault> {
    let query = super::listing::parse(&question)?;
    let store = Arc::clone(&core.store);
    working(move || {
        let predicate = Predicate::compile(&query)?;
        let cells = sums(&store, &predicate, &question)?;
        Ok(cells.into_values().map(mean).collect())
    })
    .await?
}

/// Returns the cells with the sums of their textures.
fn sums(
    store: &Store,
    predicate: &Predicate,
    question: &Question,
) -> Result<BTreeMap<String, CellTexture>, Fault> {
    let order = Order::new(&[]);
    let mut cells = BTreeMap::new();
    let mut after = None;
    loop {
        let turn = Turn {
            slots: &question.slots,
            order: &order,
            after: after.as_ref(),
            rows_max: PAGE_ROWS,
        };
        let page = store.query(predicate, &turn)?;
        for (_, record) in page.hits {
            add(&mut cells, &record.split().map_err(StoreError::from)?);
        }
        if cells.len() > CELLS_MAX {
            let what = format!("a node holds more than {CELLS_MAX} cells that match");
            return Err(Fault::new(FaultKind::Usage, what)
                .because("their textures do not fit an answer")
                .try_("a --geocode or --bbox that holds fewer"));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(cells),
        }
    }
}

fn add(cells: &mut BTreeMap<String, CellTexture>, split: &SplitMeta) {
    let geocode = split.geocode.to_string();
    let cell = cells.entry(geocode).or_insert_with_key(|code| CellTexture {
        geocode: code.clone(),
        ..CellTexture::default()
    });
    cell.splits += 1;
    let clear = split.counts.cloud().is_none_or(|cloud| cloud <= CLOUD_MAX);
    if split.counts.coverage() < COVERAGE_MIN || !clear {
        return;
    }
    let Some(texture) = &split.texture else {
        return;
    };
    if cell.texture.is_empty() {
        cell.texture.clone_from(texture);
        cell.measured = 1;
    } else if cell.texture.len() == texture.len() {
        let sums = cell.texture.iter_mut().zip(texture);
        sums.for_each(|(sum, value)| *sum += value);
        cell.measured += 1;
    }
}

fn mean(mut cell: CellTexture) -> CellTexture {
    let count = cell.measured.max(1) as f64;
    cell.texture.iter_mut().for_each(|value| *value /= count);
    cell
}
