-- orders.sql: customers and their orders, and the question every shop asks.
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    total_cents INTEGER NOT NULL CHECK (total_cents >= 0),
    ordered_on TEXT NOT NULL
);

-- Customers who have never ordered anything: a left join finds no partner.
SELECT c.name
FROM customers c
LEFT JOIN orders o ON o.customer_id = c.id
WHERE o.id IS NULL;

-- Revenue per month, newest first.
SELECT substr(ordered_on, 1, 7) AS month, sum(total_cents) / 100.0 AS revenue
FROM orders
GROUP BY month
ORDER BY month DESC;
