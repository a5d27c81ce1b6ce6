//! Unwrapped key material that is kept for the next use.
//!
//! That material is in here says nothing on whether it may be used: that is for the state and the
//! policies, on each request.

use std::fmt;
use std::sync::Arc;

use keystead_types::{KeyId, MaterialId};
use quick_cache::sync::Cache;

use crate::material::KeyMaterial;

/// At most a fixed number of materials, in locked memory; what falls out is erased as soon as the
/// last request that uses it is done.
pub struct MaterialCache {
    materials: Cache<(KeyId, MaterialId), Arc<KeyMaterial>>,
}

impl MaterialCache {
    /// A cache of at most `capacity` materials.
    pub fn new(capacity: usize) -> Self {
        Self { materials: Cache::new(capacity) }
    }

    /// The material, unwrapped by `unwrap` if it is not here. Threads that ask for the same one
    /// at once wait for a single unwrapping.
    ///
    /// # Errors
    /// Those of `unwrap`; nothing is kept then.
    pub fn get_or_insert_with<E>(
        &self,
        key_id: KeyId,
        material_id: MaterialId,
        unwrap: impl FnOnce() -> Result<KeyMaterial, E>,
    ) -> Result<Arc<KeyMaterial>, E> {
        self.materials.get_or_insert_with(&(key_id, material_id), || unwrap().map(Arc::new))
    }

    /// Forgets one material, for instance because it was deleted.
    pub fn remove(&self, key_id: KeyId, material_id: MaterialId) {
        self.materials.remove(&(key_id, material_id));
    }

    /// Forgets all materials but these.
    pub fn retain(&self, keep: impl Fn(&KeyId, &MaterialId) -> bool) {
        self.materials.retain(|(key_id, material_id), _| keep(key_id, material_id));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.materials.clear();
    }

    /// How many materials are here.
    pub fn len(&self) -> usize {
        self.materials.len()
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.materials.is_empty()
    }
}

impl fmt::Debug for MaterialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MaterialCache({} materials)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use keystead_types::KeySpec;

    use super::*;

    fn generate() -> Result<KeyMaterial, crate::material::MaterialError> {
        KeyMaterial::generate(KeySpec::SymmetricDefault)
    }

    fn ids(n: u8) -> (KeyId, MaterialId) {
        (KeyId::new([n; 16], false), MaterialId::new([n; 32]))
    }

    #[test]
    fn unwraps_once_and_keeps_no_failure() {
        let cache = MaterialCache::new(10);
        let (key, material) = ids(1);
        assert_eq!(cache.get_or_insert_with(key, material, || Err(())).unwrap_err(), ());
        assert!(cache.is_empty());
        let first = cache.get_or_insert_with(key, material, generate).unwrap();
        let second = cache.get_or_insert_with(key, material, || Err(())).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        cache.remove(key, material);
        assert!(cache.get_or_insert_with(key, material, || Err(())).is_err());
        // A request that is under way keeps what it has.
        assert!(first.symmetric().is_some());
    }

    #[test]
    fn holds_no_more_than_its_capacity() {
        let cache = MaterialCache::new(10);
        for n in 0..200 {
            let (key, material) = ids(n);
            cache.get_or_insert_with(key, material, generate).unwrap();
        }
        assert!(cache.len() <= 10, "{cache:?}");
        let (key, material) = ids(201);
        cache.get_or_insert_with(key, material, generate).unwrap();
        cache.retain(|other, _| *other == key);
        assert_eq!(cache.len(), 1);
        cache.get_or_insert_with(key, material, || Err(())).unwrap();
        cache.clear();
        assert!(cache.is_empty());
    }
}
