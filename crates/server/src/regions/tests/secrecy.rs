//! Whoever hears all that regions say learns nothing.

use std::sync::Arc;

use prost::Message;

use super::world::{Heard, Recorder, THERE, World, create_key, promote, replicate, rotate};

/// Whether bytes are somewhere in others.
fn is_in(what: &[u8], bytes: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[tokio::test]
async fn what_regions_say_has_no_material_and_nothing_of_other_keys() {
    let heard = Arc::new(Heard::default());
    let world = World::new(|inner| Arc::new(Recorder { inner, heard: Arc::clone(&heard) })).await;
    let own = create_key(&world.here, false).await;
    let shared = replicate(&world.here, THERE).await;
    world.settle().await;
    for _ in 0..3 {
        assert!(rotate(&world.here, shared).await);
        world.settle().await;
    }
    assert!(promote(&world.here, shared, world.there.name()).await);
    world.settle().await;

    let said = heard.all();
    let said: Vec<_> = said.iter().map(|(_, signed)| signed.encode_to_vec()).collect();
    let view = world.there.view();
    let key = view.key(&shared).unwrap();
    assert_eq!(key.materials.len(), 4);
    for material in &key.materials {
        let plain = world.there.material(&view, key, material).unwrap().encode();
        assert!(!said.iter().any(|bytes| is_in(&plain, bytes)), "material is said");
        assert!(!said.iter().any(|bytes| is_in(&material.wrapped, bytes)), "a wrap is said");
    }
    let view = world.here.view();
    let description = view.key(&own).unwrap().description.clone();
    for id in [own, shared] {
        let names: [&[u8]; 2] = [id.bytes(), &id.to_string().into_bytes()];
        for name in names {
            assert!(!said.iter().any(|bytes| is_in(name, bytes)), "{id} is said");
        }
    }
    assert!(!said.iter().any(|bytes| is_in(description.as_bytes(), bytes)));

    // What is sealed in the letters would be found.
    assert!(rotate(&world.there, shared).await);
    let view = world.there.view();
    let (_, message) = view.outbox(world.here.name()).next().unwrap();
    let open = world.there.open_message(&view, message).unwrap().encode_to_vec();
    let key = view.key(&shared).unwrap();
    let newest = world.there.material(&view, key, key.materials.last().unwrap()).unwrap();
    assert!(is_in(&newest.encode(), &open) && is_in(shared.bytes(), &open));
}
