//! Pagination, once: a page token is the key of the last item given out.

use tonic::Status;

use super::status;

const DEFAULT: usize = 100;
const MAX: usize = 1000;

/// How many items a page may have.
pub(super) fn size(requested: i32) -> Result<usize, Status> {
    match usize::try_from(requested) {
        Ok(0) => Ok(DEFAULT),
        Ok(size) => Ok(size.min(MAX)),
        Err(_) => Err(status::invalid("page_size", "must not be negative")),
    }
}

/// Cuts a page out of items that come in key order; the token is empty when nothing is left.
pub(super) fn cut<T>(
    items: impl Iterator<Item = T>,
    after: &str,
    size: usize,
    key: impl Fn(&T) -> String,
) -> (Vec<T>, String) {
    let mut rest = items.skip_while(|item| !after.is_empty() && key(item).as_str() <= after);
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let token = rest.next().and_then(|_| page.last().map(&key)).unwrap_or_default();
    (page, token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let all: Vec<String> = (0..7).map(|n| format!("k{n}")).collect();
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let (page, next) = cut(all.iter(), &token, 3, |item| (*item).clone());
            seen.extend(page.into_iter().cloned());
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, all);
        assert_eq!((size(0).unwrap(), size(5000).unwrap()), (100, 1000));
        assert!(size(-1).is_err());
    }
}
