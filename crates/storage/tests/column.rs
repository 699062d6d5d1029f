//! Ids and columns.

use retrograde_storage::{Id, ListPool, ListRef, Packed, PrimaryMap, SecondaryMap, entity_id};

entity_id!(
    /// A test's entity.
    Value,
    "v"
);

#[test]
fn ids_are_four_bytes_and_print_their_kind() {
    assert_eq!(size_of::<Value>(), 4);
    assert_eq!(size_of::<Packed<Value>>(), 4);
    let v = Value::from_index(7);
    assert_eq!(
        format!(
            "{v} {v:?} {:?} {:?}",
            Packed::some(v),
            Packed::<Value>::NONE
        ),
        "v7 v7 Some(v7) None"
    );
    assert_eq!(Packed::from(Some(v)).get(), Some(v));
    assert_eq!(Packed::<Value>::from(None).get(), None);
    assert_eq!(Packed::<Value>::default(), Packed::NONE);
    let last = Value::from_index(u32::MAX as usize - 1);
    assert_eq!(Packed::some(last).get(), Some(last));
}

#[test]
fn a_primary_map_defines_ids_in_order() {
    let mut map = PrimaryMap::<Value, &str>::new();
    assert!(map.is_empty() && map.last().is_none());
    let a = map.push("a");
    assert_eq!(map.next_key(), Value::from_index(1));
    let b = map.push("b");
    map[a] = "c";
    assert_eq!((map[a], map[b], map.len()), ("c", "b", 2));
    assert_eq!(map.get(Value::from_index(2)), None);
    assert_eq!(map.as_slice(), ["c", "b"]);
    assert_eq!(map.last(), Some((b, &"b")));
    for v in map.keys().rev() {
        map[v] = "d";
    }
    assert_eq!(map.iter().collect::<Vec<_>>(), [(a, &"d"), (b, &"d")]);
    let capacity = map.capacity();
    map.truncate(1);
    assert_eq!(map.keys().collect::<Vec<_>>(), [a]);
    map.clear();
    assert_eq!((map.len(), map.capacity()), (0, capacity));
    assert_eq!(map.push("e"), a);
}

#[test]
fn a_secondary_map_reads_defaults_and_grows_when_written() {
    let v = Value::from_index;
    let mut map = SecondaryMap::<Value, i32>::with_default(-1);
    assert_eq!((map[v(9)], map.len()), (-1, 0));
    map[v(3)] = 5;
    assert_eq!(map.as_slice(), [-1, -1, -1, 5]);
    map.resize(6);
    assert_eq!((map[v(5)], map[v(6)], map.len()), (-1, -1, 6));
    map.resize(2);
    assert_eq!(map[v(3)], -1, "dropped rows are forgotten");
    map[v(3)] += 1;
    assert_eq!(map[v(3)], 0);
    map.clear();
    assert_eq!(map[v(3)], -1);
    assert_eq!(SecondaryMap::<Value, u8>::default()[v(0)], 0);
}

#[test]
fn lists_share_a_pool() {
    assert_eq!(size_of::<ListRef>(), 8);
    let mut pool = ListPool::new();
    let a = pool.push([1, 2, 3]);
    let b = pool.push([]);
    let c = pool.push(vec![4]);
    pool.get_mut(a)[1] = 9;
    assert_eq!(pool.get(a), [1, 9, 3]);
    assert!(b.is_empty() && pool.get(b).is_empty() && pool.get(ListRef::EMPTY).is_empty());
    assert_eq!((pool.get(c), c.len(), pool.len()), (&[4][..], 1, 4));
    pool.clear();
    assert!(
        pool.is_empty() && pool.get(a).is_empty(),
        "a stale list is empty, not a panic"
    );
}
