//! Which network a command works with: the one that serves the database, or the one that was named.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use lookalike::inference::{Cnn, Compute, Encoder, Model};
use lookalike::store::{self, StoredNetwork};
use lookalike::{Database, Error};

use super::args::NetworkArgs;
use super::{locate, session};

/// A loaded network.
pub(super) struct Network {
    pub(super) encoder: Arc<dyn Encoder>,
    /// Its weights file; absent for the network in the program.
    weights: Option<PathBuf>,
}

/// Loads the network that serves the searches of a database.
///
/// # Errors
/// When the manifest cannot be read; when the weights of the network are not there any more, or are
/// not those that the images were embedded with.
pub(super) fn serving(directory: &Path) -> anyhow::Result<Arc<dyn Encoder>> {
    match store::serving_network(directory).map_err(Error::from)? {
        Some(network) => again(&network),
        None => session::encoder(),
    }
}

/// Loads the network that was named; without a weights file, from where the newest embeddings of
/// this name had theirs.
///
/// # Errors
/// When there are no weights, or they belong to another network; when the manifest cannot be read.
pub(super) fn named(
    directory: &Path,
    model: Model,
    weights: Option<&Path>,
) -> anyhow::Result<Network> {
    let weights = match weights {
        Some(path) => Some(locate::absolute(path)?),
        None if model == IN_PROGRAM => None,
        None => {
            let known = store::networks(directory).map_err(Error::from)?;
            let alike = known.into_iter().rev().filter(|known| known.space.model == model.name());
            alike.flat_map(|known| known.weights).next()
        }
    };
    Ok(Network { encoder: load(model, weights.as_deref())?, weights })
}

/// Loads the network that was named, else the one that serves.
///
/// # Errors
/// As for [`named`] and [`serving`].
pub(super) fn wanted(directory: &Path, args: &NetworkArgs) -> anyhow::Result<Network> {
    match args.model {
        Some(model) => named(directory, model, args.weights.as_deref()),
        None => Ok(Network { encoder: serving(directory)?, weights: None }),
    }
}

/// Opens or makes a database to index with the network that was named, else with the one that
/// serves. The first network of a database serves it.
///
/// # Errors
/// As for [`wanted`]; those of the library.
pub(super) fn create(directory: &Path, args: &NetworkArgs) -> anyhow::Result<Database> {
    let known = store::networks(directory).map_err(Error::from)?;
    let network = wanted(directory, args)?;
    let database = Database::create(directory, Arc::clone(&network.encoder))?;
    if let Some(path) = &network.weights {
        database.remember_weights(path)?;
    }
    let is_first = known.is_empty() && network.weights.is_some();
    if is_first {
        match database.serve() {
            // An import can have brought images without embeddings.
            Err(Error::NotFilled { .. }) => {}
            served => served?,
        }
    }
    let serves = match known.iter().find(|known| known.serves) {
        Some(known) => known.space == *network.encoder.space(),
        None => is_first || network.weights.is_none(),
    };
    Ok(if serves { database } else { database.beside() })
}

/// Lets a network serve the searches of a database from now on.
///
/// # Errors
/// When it has embedded nothing yet; those of the library.
pub(super) fn choose(directory: &Path, network: &Network) -> anyhow::Result<Database> {
    if network.weights.is_some() {
        refuse_unknown(directory, network)?;
    }
    let database = Database::open(directory, Arc::clone(&network.encoder))?;
    match &network.weights {
        Some(path) => {
            database.serve()?;
            database.remember_weights(path)?;
        }
        None => database.serve_default()?,
    }
    Ok(database)
}

/// Refuses a network that has embedded nothing of a database.
///
/// # Errors
/// [`Error::NotFilled`]; when the manifest cannot be read.
pub(super) fn refuse_unknown(directory: &Path, network: &Network) -> anyhow::Result<()> {
    let space = network.encoder.space();
    let known = store::networks(directory).map_err(Error::from)?;
    if known.iter().any(|known| known.space == *space) {
        return Ok(());
    }
    Err(Error::NotFilled { model: space.model.clone() }.into())
}

/// The network whose weights are inside the program.
const IN_PROGRAM: Model = Model::EfficientNetLite0;

/// Loads a network that has embedded images before: it has to be the very same.
fn again(network: &StoredNetwork) -> anyhow::Result<Arc<dyn Encoder>> {
    let (space, name) = (&network.space, &network.space.model);
    let Some(model) = Model::named(name) else {
        bail!("{name}, which serves, is no network of this program: `lookalike models` lists them");
    };
    let encoder = load(model, network.weights.as_deref()).with_context(|| {
        format!("cannot load {name}, which serves (`lookalike models use NAME` chooses another)")
    })?;
    let found = encoder.space();
    if found.weights_digest != space.weights_digest {
        bail!(
            "the weights of {name} in {:?} are not those that embedded the images (digest {:.12}, \
             expected {:.12}): bring these back, or `lookalike index --model {name}` embeds the \
             images by the new ones",
            network.weights.as_deref().unwrap_or(Path::new("")),
            found.weights_digest,
            space.weights_digest,
        );
    }
    if found != space {
        bail!(
            "this program prepares images for {name} in another way than the one that embedded \
             them: `lookalike index --model {name}` embeds them anew, then `lookalike models use \
             {name}`"
        );
    }
    Ok(encoder)
}

fn load(model: Model, weights: Option<&Path>) -> anyhow::Result<Arc<dyn Encoder>> {
    let Some(path) = weights else {
        if model == IN_PROGRAM {
            return session::encoder();
        }
        bail!("the program has no weights of {}: name a file with --weights", model.name());
    };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path:?}"))?;
    let compute = Compute { instruction_set: session::instruction_set()?, ..Compute::default() };
    let encoder = Cnn::load(model, Some(&bytes), &compute)
        .with_context(|| format!("cannot use {path:?} as weights of {}", model.name()))?;
    Ok(Arc::new(encoder))
}
