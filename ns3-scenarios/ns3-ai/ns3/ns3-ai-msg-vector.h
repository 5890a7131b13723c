// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A message of the vector kind.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>

#include "edgelam/bridge/ns3-ai/exchange.h"

namespace ns3 {

/// Used like a std::vector. In shared memory it has room for a fixed number of elements, what the memory holds; either
/// side may resize it while it has the message. A copy lives in the process's own memory and grows as it must.
template<typename T>
class Ns3AiMsgVector {
  public:
    typedef T value_type;
    typedef std::size_t size_type;
    typedef std::ptrdiff_t difference_type;
    typedef T& reference;
    typedef const T& const_reference;
    typedef T* pointer;
    typedef const T* const_pointer;
    typedef T* iterator;
    typedef const T* const_iterator;
    typedef std::reverse_iterator<iterator> reverse_iterator;
    typedef std::reverse_iterator<const_iterator> const_reverse_iterator;

    Ns3AiMsgVector() = default;
    /// \p room in the same shared memory, for that many elements
    Ns3AiMsgVector(T* room, size_type capacity) : m_capacity(capacity), m_fixed(1) { Place(room); }
    Ns3AiMsgVector(const Ns3AiMsgVector& other) { assign(other.begin(), other.end()); }
    Ns3AiMsgVector& operator=(const Ns3AiMsgVector& other) {
        if (this != &other) {
            assign(other.begin(), other.end());
        }
        return *this;
    }
    Ns3AiMsgVector& operator=(std::initializer_list<T> values) {
        assign(values);
        return *this;
    }
    ~Ns3AiMsgVector() { Free(); }

    size_type size() const { return m_size; }
    size_type capacity() const { return m_capacity; }
    size_type max_size() const { return m_fixed ? m_capacity : PTRDIFF_MAX / sizeof(T); }
    bool empty() const { return m_size == 0; }

    /// The element type's own data, wherever this process has mapped the memory.
    T* data() { return m_capacity == 0 ? nullptr : reinterpret_cast<T*>(reinterpret_cast<char*>(this) + m_distance); }
    const T* data() const { return const_cast<Ns3AiMsgVector*>(this)->data(); }

    T& operator[](size_type i) { return data()[i]; }
    const T& operator[](size_type i) const { return data()[i]; }
    T& at(size_type i) { return Checked(i), data()[i]; }
    const T& at(size_type i) const { return Checked(i), data()[i]; }
    T& front() { return data()[0]; }
    const T& front() const { return data()[0]; }
    T& back() { return data()[m_size - 1]; }
    const T& back() const { return data()[m_size - 1]; }

    iterator begin() { return data(); }
    const_iterator begin() const { return data(); }
    const_iterator cbegin() const { return data(); }
    iterator end() { return data() + m_size; }
    const_iterator end() const { return data() + m_size; }
    const_iterator cend() const { return data() + m_size; }
    reverse_iterator rbegin() { return reverse_iterator(end()); }
    const_reverse_iterator rbegin() const { return const_reverse_iterator(end()); }
    reverse_iterator rend() { return reverse_iterator(begin()); }
    const_reverse_iterator crbegin() const { return rbegin(); }
    const_reverse_iterator crend() const { return const_reverse_iterator(begin()); }
    const_reverse_iterator rend() const { return const_reverse_iterator(begin()); }

    void reserve(size_type capacity) {
        if (capacity <= m_capacity) {
            return;
        }
        if (m_fixed) {
            edgelam::bridge::FailExchange(
                "a vector of " + std::to_string(capacity) + " " + edgelam::bridge::TypeName(typeid(T).name()) + " (" +
                std::to_string(sizeof(T)) + " bytes each) does not fit into the shared memory, which holds " +
                std::to_string(m_capacity) +
                ". Raise shmSize of Experiment, or SetMemorySize where C++ makes the memory");
        }
        T* room = new T[capacity]();
        std::copy(begin(), end(), room);
        Free();
        m_capacity = capacity;
        Place(room);
    }
    void resize(size_type size) { resize(size, T()); }
    void resize(size_type size, const T& value) {
        const T copy = value; // it may be one of ours
        reserve(size);
        for (; m_size < size; ++m_size) {
            data()[m_size] = copy;
        }
        m_size = size;
    }
    void clear() { m_size = 0; }
    void shrink_to_fit() {}
    void push_back(const T& value) {
        const T copy = value;
        Grow(m_size + 1);
        data()[m_size++] = copy;
    }
    template<typename... Arguments>
    T& emplace_back(Arguments&&... arguments) {
        push_back(T(std::forward<Arguments>(arguments)...));
        return back();
    }
    void pop_back() { --m_size; }
    void assign(size_type size, const T& value) {
        const T copy = value;
        clear();
        resize(size, copy);
    }
    template<typename Iterator, typename = typename std::iterator_traits<Iterator>::iterator_category>
    void assign(Iterator first, Iterator last) {
        clear();
        insert(end(), first, last);
    }
    void assign(std::initializer_list<T> values) { assign(values.begin(), values.end()); }
    iterator insert(const_iterator position, const T& value) {
        const T copy = value;
        return insert(position, &copy, &copy + 1);
    }
    template<typename Iterator, typename = typename std::iterator_traits<Iterator>::iterator_category>
    iterator insert(const_iterator position, Iterator first, Iterator last) {
        const difference_type where = position - begin();
        const size_type old_size = m_size;
        for (; first != last; ++first) {
            push_back(*first);
        }
        std::rotate(begin() + where, begin() + old_size, end());
        return begin() + where;
    }
    iterator insert(const_iterator position, size_type count, const T& value) {
        const difference_type where = position - begin();
        const T copy = value;
        for (size_type i = 0; i < count; ++i) {
            insert(begin() + where, copy);
        }
        return begin() + where;
    }
    iterator insert(const_iterator position, std::initializer_list<T> values) {
        return insert(position, values.begin(), values.end());
    }
    template<typename... Arguments>
    iterator emplace(const_iterator position, Arguments&&... arguments) {
        return insert(position, T(std::forward<Arguments>(arguments)...));
    }
    void swap(Ns3AiMsgVector& other) {
        const Ns3AiMsgVector copy = *this;
        *this = other;
        other = copy;
    }
    iterator erase(const_iterator position) { return erase(position, position + 1); }
    iterator erase(const_iterator first, const_iterator last) {
        const iterator where = begin() + (first - begin());
        std::copy(last, cend(), where);
        m_size -= static_cast<size_type>(last - first);
        return where;
    }

    friend bool operator==(const Ns3AiMsgVector& a, const Ns3AiMsgVector& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }

  private:
    void Checked(size_type i) const {
        if (i >= m_size) {
            throw std::out_of_range("element " + std::to_string(i) + " of a message vector of " +
                                    std::to_string(m_size));
        }
    }
    void Grow(size_type size) {
        if (size > m_capacity) {
            reserve(m_fixed ? size : std::max(size, 2 * m_capacity));
        }
    }
    void Place(T* room) { m_distance = reinterpret_cast<char*>(room) - reinterpret_cast<char*>(this); }
    void Free() {
        if (!m_fixed) {
            delete[] data();
        }
    }

    // The same in both processes, at whatever address: the elements' place counts from here.
    std::uint64_t m_size = 0;
    std::uint64_t m_capacity = 0;
    std::int64_t m_distance = 0;
    std::uint64_t m_fixed = 0;
};

static_assert(sizeof(Ns3AiMsgVector<int>) <= edgelam::bridge::Exchange::message_room_bytes);

} // namespace ns3
